import { z } from "zod";
import type { AuditRecord } from "../audit/record.ts";
import type { Principal } from "../policy/principal.ts";
import { Problem } from "./problem.ts";
import type { Api } from "./schema.ts";

export const silenceSchema = z.object({
  id: z.string(),
  /** Of an alert rule. */
  rule: z.string(),
  person: z.string().optional(),
  until: z.iso.datetime(),
  reason: z.string(),
  by: z.string(),
});

const knownSchema = z.object({
  shape: z.string(),
  sample: z.string(),
  database: z.string(),
  since: z.string(),
});

export const profileSchema = z.object({
  name: z.string(),
  mode: z.enum(["learn", "warn", "enforce"]),
  habit: z.string().optional(),
  since: z.string(),
  known: z.array(knownSchema).readonly(),
  unknown: z.array(knownSchema.extend({ times: z.int() })).readonly(),
});

export type SilenceView = z.infer<typeof silenceSchema>;
export type HabitsView = z.infer<typeof profileSchema>;

/** What operators silence. */
export interface SilenceDesk {
  readonly rules: readonly string[];
  list: () => readonly SilenceView[];
  /** @returns `undefined` when there are too many */
  add: (silence: Omit<SilenceView, "id">) => SilenceView | undefined;
  remove: (id: string) => boolean;
}

/** What was learned of people, and what operators change about it; false where there is nothing of that name. */
export interface HabitsDesk {
  list: () => readonly HabitsView[];
  promote: (name: string, to: "warn" | "enforce") => boolean;
  learn: (name: string, shapes: readonly string[] | undefined) => boolean;
  reset: (name: string, what: "everything" | "budgets") => boolean;
}

interface WatchOptions {
  readonly silences: SilenceDesk;
  readonly habits: HabitsDesk;
  readonly isOperator: (person: Principal) => boolean;
  readonly audit: (record: AuditRecord) => Promise<void>;
  readonly now: () => number;
}

const MAX_SILENCE_MS = 30 * 86_400_000;
const named = z.object({ name: z.string().max(63) });

/** Silences of alerts and what was learned: for operators only, every change on record before it counts. */
export function watchRoutes(app: Api, options: WatchOptions): void {
  const { silences, habits, now } = options;

  async function change(
    person: Principal,
    { operation, target }: { readonly operation: string; readonly target: string },
    isPossible = true,
  ): Promise<void> {
    const isAllowed = options.isOperator(person);
    const outcome = isAllowed && isPossible ? "done" : "refused";
    await options.audit({
      event: "admin.action",
      person: person.name,
      operation,
      target,
      outcome,
    });
    if (!isAllowed) throw forOperators();
  }

  function look(person: Principal): void {
    if (!options.isOperator(person)) throw forOperators();
  }

  app.get(
    "/silences",
    {
      config: { summary: "Alert rules that are silent for a time" },
      schema: { response: { 200: z.object({ silences: z.array(silenceSchema).readonly() }) } },
    },
    ({ person }) => {
      look(person);
      return { silences: silences.list() };
    },
  );

  app.post(
    "/silences",
    {
      config: { summary: "Silence an alert rule for a time" },
      schema: {
        body: z.strictObject({
          rule: z.string().max(63),
          person: z.string().max(63).optional(),
          seconds: z
            .int()
            .min(1)
            .max(MAX_SILENCE_MS / 1000),
          reason: z.string().trim().min(1).max(500),
        }),
        response: { 201: silenceSchema },
      },
    },
    async ({ person, body: { rule, person: about, seconds, reason } }, reply) => {
      const isKnown = silences.rules.includes(rule);
      const target = `${rule}${about === undefined ? "" : ` about ${about}`} for ${seconds} s: ${reason}`;
      await change(person, { operation: "silence alerts", target }, isKnown);
      if (!isKnown) {
        throw new Problem(
          "not-found",
          `there is no alert rule "${rule}"`,
          `there are ${silences.rules.join(", ")}`,
        );
      }
      const until = new Date(now() + seconds * 1000).toISOString();
      const made = silences.add({ rule, person: about, until, reason, by: person.name });
      if (made === undefined)
        throw new Problem("wrong-state", "there are too many silences already");
      return reply.code(201).send(made);
    },
  );

  app.delete(
    "/silences/:id",
    {
      config: { summary: "End a silence" },
      schema: { params: z.object({ id: z.string().max(64) }) },
    },
    async ({ person, params: { id } }, reply) => {
      const isThere = silences.list().some((silence) => silence.id === id);
      await change(person, { operation: "end silence", target: id }, isThere);
      if (!silences.remove(id)) throw new Problem("not-found", `there is no silence ${id}`);
      return reply.code(204).send();
    },
  );

  app.get(
    "/habits",
    {
      config: { summary: "What was learned of people and workloads" },
      schema: { response: { 200: z.object({ profiles: z.array(profileSchema).readonly() }) } },
    },
    ({ person }) => {
      look(person);
      return { profiles: habits.list() };
    },
  );

  app.post(
    "/habits/:name/promote",
    {
      config: { summary: "Have a profile warn, or refuse" },
      schema: { params: named, body: z.strictObject({ to: z.enum(["warn", "enforce"]) }) },
    },
    async ({ person, params: { name }, body: { to } }, reply) => {
      await change(person, { operation: `habits ${to}`, target: name }, isThere(name));
      if (!habits.promote(name, to)) throw noProfile(name);
      return reply.code(204).send();
    },
  );

  app.post(
    "/habits/:name/learn",
    {
      config: { summary: "Take shapes into a profile that were met and not known" },
      schema: {
        params: named,
        body: z.strictObject({
          shapes: z
            .array(z.string().regex(/^[0-9a-f]{16}$/))
            .min(1)
            .max(500)
            .optional(),
        }),
      },
    },
    async ({ person, params: { name }, body: { shapes } }, reply) => {
      const target = `${name}: ${shapes?.join(" ") ?? "all"}`;
      await change(person, { operation: "habits learn", target }, isThere(name));
      if (!isThere(name)) throw noProfile(name);
      if (!habits.learn(name, shapes)) {
        throw new Problem("not-found", `${name} never ran a statement of one of these shapes`);
      }
      return reply.code(204).send();
    },
  );

  app.post(
    "/habits/:name/reset",
    {
      config: { summary: "Forget what was learned, or what was spent of budgets" },
      schema: {
        params: named,
        body: z.strictObject({ what: z.enum(["everything", "budgets"]) }),
      },
    },
    async ({ person, params: { name }, body: { what } }, reply) => {
      await change(
        person,
        { operation: "habits reset", target: `${name}: ${what}` },
        isThere(name),
      );
      if (!habits.reset(name, what)) throw noProfile(name);
      return reply.code(204).send();
    },
  );

  function isThere(name: string): boolean {
    return habits.list().some((profile) => profile.name === name);
  }
}

function noProfile(name: string): Problem {
  return new Problem("not-found", `nothing was learned of ${name} yet`);
}

function forOperators(): Problem {
  return new Problem(
    "not-allowed",
    "only operators may",
    "operators are the roles in admin.operators",
  );
}
