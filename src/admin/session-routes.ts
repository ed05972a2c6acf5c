import { z } from "zod";
import type { AuditRecord } from "../audit/record.ts";
import type { Principal } from "../policy/principal.ts";
import { Problem } from "./problem.ts";
import type { Api } from "./schema.ts";

export const sessionSchema = z.object({
  id: z.string(),
  person: z.string(),
  roles: z.array(z.string()).readonly(),
  address: z.string(),
  application_name: z.string(),
  environment: z.string(),
  database: z.string(),
  state: z.enum(["idle", "active", "in_transaction", "failed_transaction", "held"]),
  started_at: z.iso.datetime(),
  /** The statement that runs or is held, if one does. */
  statement: z.object({ sql: z.string(), started_at: z.iso.datetime() }).optional(),
});

export type SessionView = z.infer<typeof sessionSchema>;

/** The sessions that are open now. */
export interface Sessions {
  list: () => readonly SessionView[];
  /** Ends it as `pg_terminate_backend` would; false if there is none of that id. */
  terminate: (id: string, by: string) => boolean;
}

interface SessionOptions {
  readonly sessions: Sessions;
  readonly isOperator: (person: Principal) => boolean;
  readonly audit: (record: AuditRecord) => Promise<void>;
}

/** Operators see and end every session, everybody else their own. */
export function sessionRoutes(app: Api, { sessions, isOperator, audit }: SessionOptions): void {
  function visibleTo(person: Principal): readonly SessionView[] {
    const all = sessions.list();
    return isOperator(person) ? all : all.filter((session) => session.person === person.name);
  }

  app.get(
    "/sessions",
    {
      config: { summary: "The open sessions you may see" },
      schema: { response: { 200: z.object({ sessions: z.array(sessionSchema).readonly() }) } },
    },
    ({ person }) => ({ sessions: visibleTo(person) }),
  );

  app.delete(
    "/sessions/:id",
    {
      config: { summary: "Terminate a session" },
      schema: { params: z.object({ id: z.string().max(64) }) },
    },
    async ({ person, params: { id } }, reply) => {
      const operation = "terminate session";
      if (!visibleTo(person).some((session) => session.id === id)) {
        await audit({
          event: "admin.action",
          person: person.name,
          operation,
          target: id,
          outcome: "refused",
        });
        throw new Problem("not-found", `no session ${id} that you may end`);
      }
      // On record first: an end that nobody can account for is worse than a record of one that came too late.
      await audit({
        event: "admin.action",
        person: person.name,
        operation,
        target: id,
        outcome: "done",
      });
      sessions.terminate(id, person.name);
      return reply.code(204).send();
    },
  );
}
