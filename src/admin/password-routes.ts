import { z } from "zod";
import type { AuditRecord } from "../audit/record.ts";
import type { Principal } from "../policy/principal.ts";
import { Problem } from "./problem.ts";
import type { Api } from "./schema.ts";

/** A password for the proxy that nobody chose and nobody keeps for long. */
interface IssuedPassword {
  readonly id: string;
  readonly password: string;
  readonly expiresAtMs: number;
}

export interface Passwords {
  /** The longest that one may be good for. */
  readonly maxSeconds: number;
  /** @returns why this person gets none */
  readonly refusal: (person: string) => string | undefined;
  readonly issue: (person: string, seconds: number) => Promise<IssuedPassword>;
  /** @returns how many there were */
  readonly revoke: (person: string) => number;
}

interface PasswordOptions {
  readonly passwords: Passwords;
  /** On record when it resolves. */
  readonly audit: (record: AuditRecord) => Promise<void>;
}

/** Whoever has signed in with their key may have a password for as long as a shift, where a program wants one. */
export function passwordRoutes(api: Api, { passwords, audit }: PasswordOptions): void {
  const { maxSeconds } = passwords;

  api.post(
    "/login/password",
    {
      config: {
        summary: "Get a password for the proxy that is good for a while",
        rateLimit: { max: 30, timeWindow: "1 minute" },
      },
      schema: {
        body: z.strictObject({ valid_seconds: z.int().min(60).max(604_800) }),
        response: {
          200: z.object({
            id: z.string(),
            person: z.string(),
            password: z.string(),
            expires_at: z.iso.datetime(),
          }),
        },
      },
    },
    async ({ person, body }) => {
      if (body.valid_seconds > maxSeconds) {
        const most = `at most ${maxSeconds} s`;
        throw new Problem("not-allowed", `a password may be good for ${most}`, `ask for ${most}`);
      }
      const why = passwords.refusal(person.name);
      if (why !== undefined) throw new Problem("wrong-state", why);
      const issued = await passwords.issue(person.name, body.valid_seconds);
      // Should the record fail, nobody has been given it.
      await audit(action(person, "password.issued", issued.id));
      return {
        id: issued.id,
        person: person.name,
        password: issued.password,
        expires_at: new Date(issued.expiresAtMs).toISOString(),
      };
    },
  );

  api.delete(
    "/login/password",
    {
      config: { summary: "Take back every such password of yours" },
      schema: { response: { 200: z.object({ revoked: z.int() }) } },
    },
    async ({ person }) => {
      const revoked = passwords.revoke(person.name);
      await audit(action(person, "password.revoked", `${revoked}`));
      return { revoked };
    },
  );
}

function action({ name }: Principal, operation: string, target: string): AuditRecord {
  return { event: "admin.action", person: name, operation, target, outcome: "done" };
}
