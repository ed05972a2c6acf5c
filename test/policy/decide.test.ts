import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { decide, decideTimed } from "../../src/policy/decide.ts";
import type { Decision } from "../../src/policy/decision.ts";
import type { Freeze } from "../../src/policy/freeze.ts";
import { createPolicy, type Policy, type UnparsedTreatment } from "../../src/policy/policy.ts";
import { parseSchedule } from "../../src/policy/schedule.ts";
import type { Outcome, Rule } from "../../src/policy/rule.ts";
import {
  EFFECTS,
  type Effect,
  type StatementClassification,
} from "../../src/sql/classification.ts";
import {
  allow,
  block,
  development,
  input,
  parsed,
  production,
  rule,
  sign,
  statement,
  terms,
  unparsed,
} from "./situations.ts";

const WEEKEND: Freeze = {
  name: "weekend",
  kind: "weekly",
  fromMinute: 6720,
  toMinute: 480,
  timeZone: "UTC",
};
const CHRISTMAS: Freeze = {
  name: "christmas",
  kind: "once",
  from: "2026-12-23T18:00:00.000Z",
  to: "2027-01-07T08:00:00.000Z",
};

function policyOf(
  rules: readonly Rule[],
  unparsedIn: Record<string, UnparsedTreatment> = {},
): Policy {
  return createPolicy({ rules, unparsed: new Map(Object.entries(unparsedIn)) });
}

const guarded = policyOf([
  rule("sign", sign, { environments: ["production"], destructive: true }),
  rule("work", allow, {
    environments: ["production"],
    effects: { only: ["read", "write", "delete"] },
  }),
  rule("free", allow, { environments: ["development"] }),
]);

const read = statement(["read"]);
const dropTable = statement(["destructive_ddl"], { destructive: true });
const drop = (name: string): StatementClassification =>
  statement(["destructive_ddl"], {
    destructive: true,
    reach: "cluster",
    objects: [{ kind: "database", schema: undefined, name }],
  });

describe("one statement", () => {
  test("the first rule that matches decides", () => {
    const policy = policyOf([rule("first", block), rule("second", allow)]);
    expect(decide(policy, input(parsed(read)))).toMatchObject({ action: "block", rule: "first" });
  });

  test("what no rule allows is refused, and says to whom and where", () => {
    expect(decide(guarded, input(parsed(statement(["privilege"]))))).toEqual({
      action: "block",
      rule: "builtin:no-rule",
      environment: "production",
      statement: 0,
      message: "no rule allows privilege to alice in production",
      hint: "somebody whose role allows it can run it, or a rule can be added",
    });
  });

  test("a rule's message, hint and terms come out with its decision", () => {
    const outcome: Outcome = { ...sign, message: "why", hint: "what to do" };
    expect(decide(policyOf([rule("r", outcome)]), input(parsed(read)))).toEqual({
      action: "require_approval",
      rule: "r",
      environment: "production",
      statement: 0,
      message: "why",
      hint: "what to do",
      terms,
    });
  });

  test("text that reads differently afterwards is refused whatever the rules allow", () => {
    const set = statement(["session"], { mustRefuse: true });
    expect(decide(policyOf([rule("all", allow)]), input(parsed(read, set)))).toMatchObject({
      action: "block",
      rule: "builtin:reads-differently",
      statement: 1,
    });
  });

  test("one statement that must be refused is enough, whatever the whole text says", () => {
    const whole = parsed(read, statement(["session"], { mustRefuse: true }));
    const decision = decide(policyOf([rule("all", allow)]), input({ ...whole, mustRefuse: false }));
    expect(decision).toMatchObject({ rule: "builtin:reads-differently", statement: 1 });
  });

  test("an effect nobody knows is refused whatever the rules allow", () => {
    const odd = statement(["read", "teleport" as Effect]);
    expect(decide(policyOf([rule("all", allow)]), input(parsed(odd)))).toMatchObject({
      action: "block",
      rule: "builtin:unknown-effect",
      statement: 0,
    });
  });

  test("a text without a statement is allowed", () => {
    expect(decide(policyOf([]), input(parsed()))).toEqual({
      action: "allow",
      rule: "builtin:empty",
      environment: "production",
    });
  });
});

describe("a batch", () => {
  test("takes the strictest decision and tells which statement made it", () => {
    expect(decide(guarded, input(parsed(read, dropTable, read)))).toMatchObject({
      action: "require_approval",
      rule: "sign",
      statement: 1,
    });
    expect(decide(guarded, input(parsed(dropTable, statement(["admin"]))))).toMatchObject({
      action: "block",
      statement: 1,
    });
  });

  test("joins the terms of two approvals so that neither is weakened", () => {
    const strict = { ...sign, terms: { ...terms, approvers: ["dba", "lead"], signatures: 2 } };
    const long = { ...terms, maxUses: 5, waits: "hold" as const, isReasonRequired: true };
    const policy = policyOf([
      rule("two", strict, { effects: { any: ["privilege"] } }),
      rule("one", { ...sign, terms: long }),
    ]);
    expect(decide(policy, input(parsed(read, statement(["privilege"]))))).toMatchObject({
      rule: "one",
      terms: {
        approvers: ["lead"],
        signatures: 2,
        maxUses: 1,
        isReasonRequired: true,
        waits: "refuse",
      },
    });
  });

  test("is refused where its statements need different approvers", () => {
    const dba = { ...sign, terms: { ...terms, approvers: ["dba"] } };
    const policy = policyOf([rule("a", dba, { effects: { any: ["admin"] } }), rule("b", sign)]);
    expect(decide(policy, input(parsed(read, statement(["admin"]))))).toMatchObject({
      action: "block",
      rule: "builtin:no-common-approver",
      statement: 1,
    });
  });
});

describe("what reaches beyond its database", () => {
  const at = { place: development, neighbours: [production] };

  test.each([
    { typed: "DROP DATABASE of production", acts: drop("shop"), action: "require_approval" },
    { typed: "DROP DATABASE of this one", acts: drop("shop_dev"), action: "allow" },
    {
      typed: "DROP DATABASE of nobody knows which",
      acts: drop("other"),
      action: "require_approval",
    },
    { typed: "DROP TABLE", acts: dropTable, action: "allow" },
    {
      typed: "DROP ROLE",
      acts: { ...dropTable, reach: "cluster" as const },
      action: "require_approval",
    },
    {
      typed: "GRANT ... ON DATABASE of production, named only",
      acts: { ...drop("shop"), reach: "database" as const },
      action: "require_approval",
    },
    {
      typed: "CREATE DATABASE ... TEMPLATE of production",
      acts: {
        ...drop("shop_dev"),
        objects: [...drop("shop_dev").objects, ...drop("shop").objects],
      },
      action: "require_approval",
    },
    {
      typed: "DROP DATABASE beside an object of another kind",
      acts: {
        ...drop("shop_dev"),
        objects: [...drop("shop_dev").objects, { kind: "role", schema: undefined, name: "r" }],
      },
      action: "require_approval",
    },
  ])("$typed, typed in development on the same server: $action", ({ acts, action }) => {
    expect(decide(guarded, input(parsed(acts), at)).action).toBe(action);
  });

  test("names the environment whose rules decided", () => {
    expect(decide(guarded, input(parsed(drop("shop")), at))).toMatchObject({
      environment: "production",
    });
  });

  test("goes by the name on the server", () => {
    const alias = { ...production, database: "store" };
    const decision = decide(guarded, input(parsed(drop("shop")), { ...at, neighbours: [alias] }));
    expect(decision.action).toBe("require_approval");
  });
});

describe("text that the grammar does not read", () => {
  const everything = [rule("all", allow)];

  test("is refused where nothing else is said, whatever the rules allow", () => {
    expect(decide(policyOf(everything), input(unparsed()))).toEqual({
      action: "block",
      rule: "builtin:unparsed",
      environment: "production",
      statement: undefined,
      message: `PostgreSQL's grammar does not read it: syntax error at or near "EXIST"`,
      hint: undefined,
    });
  });

  test("needs a signature where the environment says so", () => {
    const policy = policyOf(everything, { production: { action: "require_approval", terms } });
    expect(decide(policy, input(unparsed()))).toMatchObject({
      action: "require_approval",
      rule: "builtin:unparsed",
      terms,
    });
  });

  test("is judged by the rules where the environment says so: destructive, and unparsed only", () => {
    const asks: Record<string, UnparsedTreatment> = { production: { action: "ask_rules" } };
    expect(decide(policyOf(everything, asks), input(unparsed())).action).toBe("allow");
    const { rules } = guarded;
    expect(decide(policyOf(rules, asks), input(unparsed()))).toMatchObject({ rule: "sign" });
    const reads = [rule("reads", allow, { effects: { only: ["read"] } })];
    expect(decide(policyOf(reads, asks), input(unparsed()))).toMatchObject({
      rule: "builtin:no-rule",
    });
  });

  test("may reach anything, so every environment on the server must let it pass", () => {
    const policy = policyOf(everything, { development: { action: "ask_rules" } });
    const at = { place: development, neighbours: [production] };
    expect(decide(policy, input(unparsed(), at))).toMatchObject({
      action: "block",
      environment: "production",
    });
  });

  test.each(["too_large", "too_deep", "timed_out", "failed"] as const)(
    "is refused everywhere when it was not read to its end: %s",
    (cause) => {
      const policy = policyOf(everything, { production: { action: "ask_rules" } });
      expect(decide(policy, input(unparsed(cause))).action).toBe("block");
    },
  );
});

describe("properties", () => {
  const effects = fc.subarray([...EFFECTS.filter((effect) => effect !== "unparsed")]);
  const statements = fc
    .record({
      effects,
      destructive: fc.boolean(),
      reach: fc.constantFrom("database" as const, "cluster" as const),
      mustRefuse: fc.integer({ min: 0, max: 9 }).map((chance) => chance === 0),
    })
    .map(({ effects: its, ...more }) => statement(its, more));
  const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
    fc.constantFrom(allow, block),
    fc
      .record({
        approvers: fc.subarray(["lead", "dba"], { minLength: 1 }),
        signatures: fc.integer({ min: 1, max: 3 }),
        maxValiditySeconds: fc.integer({ min: 1, max: 9 }),
        maxUses: fc.integer({ min: 1, max: 3 }),
        isReasonRequired: fc.boolean(),
        parameters: fc.constantFrom("exact" as const, "any" as const),
        waits: fc.constantFrom("refuse" as const, "hold" as const),
        holdSeconds: fc.integer({ min: 1, max: 9 }),
        breakGlass: fc.subarray(["lead", "senior"]),
        freezes: fc.subarray([WEEKEND, CHRISTMAS]),
        recycleSeconds: fc.integer({ min: 0, max: 2 }),
      })
      .map((its) => ({ ...sign, terms: its })),
  );
  const conditions = fc.record(
    {
      environments: fc.subarray(["production", "development"], { minLength: 1 }),
      destructive: fc.boolean(),
      effects: fc.record({ any: effects, only: effects }, { requiredKeys: [] }),
    },
    { requiredKeys: [] },
  );
  const policies = fc
    .array(fc.tuple(outcomes, conditions), { maxLength: 6 })
    .map((rules) =>
      policyOf(rules.map(([outcome, when], index) => rule(`r${index}`, outcome, when))),
    );
  const places = fc.constantFrom([], [development]);

  it("never weakens a decision when a statement is added to a batch", () => {
    fc.assert(
      fc.property(
        policies,
        fc.array(statements, { maxLength: 3 }),
        statements,
        fc.nat(3),
        places,
        (policy, batch, added, position, neighbours) => {
          const longer = batch.toSpliced(position, 0, added);
          const before = decide(policy, input(parsed(...batch), { neighbours }));
          const after = decide(policy, input(parsed(...longer), { neighbours }));
          expect(isAtLeastAsStrict(after, before)).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("never weakens a decision when another database is on the same server", () => {
    fc.assert(
      fc.property(policies, fc.array(statements, { maxLength: 3 }), (policy, batch) => {
        const alone = decide(policy, input(parsed(...batch)));
        const beside = decide(policy, input(parsed(...batch), { neighbours: [development] }));
        expect(isAtLeastAsStrict(beside, alone)).toBe(true);
      }),
    );
  });

  it("allows only what some rule allows", () => {
    fc.assert(
      fc.property(policies, statements, (policy, one) => {
        const decision = decide(policy, input(parsed(one)));
        if (decision.action !== "allow") return;
        const by = policy.rules.find(({ name }) => name === decision.rule);
        expect(by?.outcome.action).toBe("allow");
      }),
    );
  });

  it("decides the same again", () => {
    fc.assert(
      fc.property(policies, fc.array(statements, { maxLength: 3 }), (policy, batch) => {
        const asked = input(parsed(...batch), { neighbours: [development] });
        expect(decide(policy, asked)).toEqual(decide(policy, asked));
      }),
    );
  });
});

test("a policy knows whether it looks at the clock", () => {
  const during = parseSchedule({ timeZone: "UTC" });
  expect(policyOf([rule("a", allow)]).dependsOnTime).toBe(false);
  expect(policyOf([rule("a", allow, { during })]).dependsOnTime).toBe(true);
  expect(policyOf([rule("a", allow, {}, { during })]).dependsOnTime).toBe(true);
});

test("a decision is timeless unless a rule that matched but for its times was asked", () => {
  const during = parseSchedule({ timeZone: "UTC" });
  const policy = policyOf([
    rule("daytime", sign, { effects: { any: ["ddl"] }, during }),
    rule("all", allow),
  ]);
  expect(decideTimed(policy, input(parsed(read)))).toMatchObject({ isTimeless: true });
  expect(decideTimed(policy, input(parsed(statement(["ddl"]))))).toMatchObject({
    isTimeless: false,
    decision: { rule: "daytime" },
  });
});

/** Whatever satisfies `a` satisfies `b`. */
function isAtLeastAsStrict(a: Decision, b: Decision): boolean {
  if (a.action === "block" || b.action === "allow") return true;
  if (a.action === "allow" || b.action === "block") return false;
  return (
    a.terms.approvers.every((role) => b.terms.approvers.includes(role)) &&
    a.terms.signatures >= b.terms.signatures &&
    a.terms.maxValiditySeconds <= b.terms.maxValiditySeconds &&
    a.terms.maxUses <= b.terms.maxUses &&
    (a.terms.isReasonRequired || !b.terms.isReasonRequired) &&
    (a.terms.parameters === "exact" || b.terms.parameters === "any") &&
    (a.terms.waits === "refuse" || b.terms.waits === "hold") &&
    a.terms.holdSeconds <= b.terms.holdSeconds &&
    a.terms.breakGlass.every((role) => b.terms.breakGlass.includes(role)) &&
    b.terms.freezes.every((freeze) => a.terms.freezes.includes(freeze)) &&
    a.terms.recycleSeconds >= b.terms.recycleSeconds
  );
}
