import { describe, expect, test } from "vitest";
import { isInNetwork, parseNetwork } from "../../src/policy/network.ts";
import { matches, type Conditions, type Situation } from "../../src/policy/rule.ts";
import { parseSchedule } from "../../src/policy/schedule.ts";
import {
  alice,
  allow,
  api,
  development,
  office,
  production,
  rule,
  statement,
} from "./situations.ts";

const table = (schema: string | undefined, name: string): Situation["statement"]["objects"][0] => ({
  kind: "table",
  schema,
  name,
});

const dropOrders: Situation = {
  statement: statement(["read", "delete"], {
    destructive: true,
    objects: [table("public", "orders")],
    warnings: [{ name: "long-lock", why: "", safer: "" }],
  }),
  place: production,
  principal: alice,
  client: office,
  now: () => new Date("2026-11-23T12:00:00Z"), // a Monday
};

const effects = (...its: Situation["statement"]["effects"]): Situation => ({
  ...dropOrders,
  statement: { ...dropOrders.statement, effects: its },
});
const objects = (...its: Situation["statement"]["objects"]): Situation => ({
  ...dropOrders,
  statement: { ...dropOrders.statement, objects: its },
});

/** For every condition: one under which the statement above falls, and situations in which it does not hold. */
const CONDITIONS = {
  environments: [["staging", "production"], { ...dropOrders, place: development }],
  databases: [["shop"], { ...dropOrders, place: development }],
  roles: [["senior", "dba"], { ...dropOrders, principal: api }],
  people: [["alice"], { ...dropOrders, principal: { ...alice, kind: "workload" } }],
  workloads: [["api"], dropOrders, { ...dropOrders, principal: api }],
  effects: [{ any: ["delete", "write"], all: ["read"], only: ["read", "delete"] }, effects("read")],
  destructive: [
    true,
    { ...dropOrders, statement: { ...dropOrders.statement, destructive: false } },
  ],
  objects: [{ any: [{ schema: "pub*", name: "order?" }] }, objects(table("public", "users"))],
  warnings: [["long-*"], { ...dropOrders, statement: { ...dropOrders.statement, warnings: [] } }],
  clients: [
    [parseNetwork("10.0.0.0/8")],
    { ...dropOrders, client: { ...office, address: undefined } },
  ],
  applicationNames: [["ps*"], { ...dropOrders, client: { ...office, applicationName: "DBeaver" } }],
  tls: [true, { ...dropOrders, client: { ...office, hasTls: false } }],
  methods: [["scram-sha-256"], { ...dropOrders, client: { ...office, method: "certificate" } }],
  during: [
    parseSchedule({ days: ["mon"], hours: ["08:00-18:00"], timeZone: "UTC" }),
    { ...dropOrders, now: () => new Date("2026-11-24T12:00:00Z") },
  ],
} satisfies {
  [K in keyof Required<Conditions>]: [
    asked: NonNullable<Conditions[K]>,
    misses: Situation,
    hits?: Situation,
  ];
};

describe.each(Object.entries(CONDITIONS))("%s", (key, [asked, misses, hits = dropOrders]) => {
  const conditions = { [key]: asked } as Conditions;

  test("matches where it holds, and not where it does not", () => {
    expect(matches(rule("r", allow, conditions), hits)).toBe(true);
    expect(matches(rule("r", allow, conditions), misses)).toBe(false);
  });

  test("is an exception under unless", () => {
    expect(matches(rule("r", allow, {}, conditions), hits)).toBe(false);
    expect(matches(rule("r", allow, {}, conditions), misses)).toBe(true);
  });
});

test("all conditions must hold", () => {
  const both: Conditions = { roles: ["senior"], tls: false };
  expect(matches(rule("r", allow, both), dropOrders)).toBe(false);
});

test("an exception must hold as a whole", () => {
  const both: Conditions = { roles: ["senior"], tls: false };
  expect(matches(rule("r", allow, {}, both), dropOrders)).toBe(true);
});

test.each([
  [{ only: ["read", "delete"] }, true],
  [{ only: ["read"] }, false],
  [{ any: ["write"] }, false],
  [{ all: ["read", "delete"] }, true],
  [{ all: ["read", "write"] }, false],
] as const)("effects %j of a statement that reads and deletes: %s", (asked, expected) => {
  expect(matches(rule("r", allow, { effects: asked }), dropOrders)).toBe(expected);
});

describe("an unqualified name may be in any schema, and is in none for certain", () => {
  const unqualified = objects(table(undefined, "orders"));
  test.each([
    [{ any: [{ schema: "audit" }] }, true],
    [{ only: [{ schema: "scratch" }] }, false],
    [{ only: [{ schema: "*" }] }, true],
    [{ only: [{ name: "orders" }] }, true],
    [{ any: [{ schema: "audit", name: "users" }] }, false],
  ])("%j: %s", (asked, expected) => {
    expect(matches(rule("r", allow, { objects: asked }), unqualified)).toBe(expected);
  });
});

test.each([
  ["database", "shop", { schema: "*" }, false],
  ["role", "alice", { schema: "audit", name: "*" }, false],
  ["schema", "audit", { schema: "audit" }, true],
  ["schema", "public", { schema: "audit" }, false],
])("%s %s is in a schema as %j asks: %s", (kind, name, pattern, expected) => {
  const named = objects({ kind, schema: undefined, name });
  expect(matches(rule("r", allow, { objects: { any: [pattern] } }), named)).toBe(expected);
  expect(matches(rule("r", allow, { objects: { only: [pattern] } }), named)).toBe(expected);
});

test("only asks for objects, and that each is one of these", () => {
  const scratch = rule("r", allow, { objects: { only: [{ schema: "scratch" }] } });
  expect(matches(scratch, objects(table("scratch", "a"), table("scratch", "b")))).toBe(true);
  expect(matches(scratch, objects(table("scratch", "a"), table("public", "b")))).toBe(false);
  expect(matches(scratch, objects())).toBe(false);
});

test("local is the Unix socket and no address", () => {
  expect(isInNetwork("local", undefined)).toBe(true);
  expect(isInNetwork("local", office.address)).toBe(false);
});
