import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HabitsView, SilenceView } from "../../src/admin/watch-routes.ts";
import { openTestAdmin, type TestAdmin } from "./harness.ts";

let admin: TestAdmin;
let silences: SilenceView[];
let done: unknown[];
const PROFILE: HabitsView = {
  name: "shop",
  mode: "learn",
  habit: "shop-app",
  since: "2026-11-23T11:00:00.000Z",
  known: [],
  unknown: [],
};

beforeEach(async () => {
  silences = [];
  done = [];
  const to = (what: unknown[]): boolean => {
    done.push(what);
    return what[0] === "shop";
  };
  admin = await openTestAdmin({
    silences: {
      rules: ["statement-refused"],
      list: () => silences,
      add: (silence) => {
        const made = { id: `S-${silences.length}`, ...silence };
        silences.push(made);
        return made;
      },
      remove: (id) => {
        const before = silences.length;
        silences = silences.filter((silence) => silence.id !== id);
        return silences.length < before;
      },
    },
    habits: {
      list: () => [PROFILE],
      promote: (name, mode) => to([name, mode]),
      learn: (name, shapes) => to([name, shapes]),
      reset: (name, what) => to([name, what]),
    },
  });
});
afterEach(() => admin.close());

async function as(person: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const token = await admin.signIn(person);
  const answer = await admin.call(method, `/api/v1${path}`, { token, body });
  return answer.status < 300 && answer.body !== "" ? answer.body : answer.status;
}

const TWO_HOURS = { rule: "statement-refused", seconds: 7200, reason: "migration 4711" };

describe("silences", () => {
  it("are made, listed and ended by an operator, on record with their reason", async () => {
    const made = await as("olga", "POST", "/silences", TWO_HOURS);
    expect(made).toEqual({
      id: "S-0",
      rule: "statement-refused",
      until: "2026-11-23T14:00:00.000Z",
      reason: "migration 4711",
      by: "olga",
    });
    expect(admin.audit.at(-1)).toEqual({
      event: "admin.action",
      person: "olga",
      operation: "silence alerts",
      target: "statement-refused for 7200 s: migration 4711",
      outcome: "done",
    });
    expect(await as("olga", "GET", "/silences")).toEqual({ silences: [made] });
    expect(await as("olga", "DELETE", "/silences/S-0")).toBe(204);
    expect(await as("olga", "DELETE", "/silences/S-0")).toBe(404);
    expect(admin.audit.at(-1)).toMatchObject({ operation: "end silence", outcome: "refused" });
  });

  it.each([
    ["no reason", { ...TWO_HOURS, reason: " " }, 400],
    ["for ever", { ...TWO_HOURS, seconds: 31 * 86_400 }, 400],
    ["a rule that there is not", { ...TWO_HOURS, rule: "statment-refused" }, 404],
  ])("are not made with %s", async (_, body, status) => {
    expect(await as("olga", "POST", "/silences", body)).toBe(status);
    expect(silences).toEqual([]);
  });

  it("are nobody's else, and the attempt is on record", async () => {
    expect(await as("alice", "POST", "/silences", TWO_HOURS)).toBe(403);
    expect(admin.audit.at(-1)).toMatchObject({ person: "alice", outcome: "refused" });
    expect(await as("alice", "GET", "/silences")).toBe(403);
    expect(silences).toEqual([]);
  });
});

describe("habits", () => {
  const SHAPES = { shapes: ["0123456789abcdef"] };

  it.each([
    ["/habits/shop/promote", { to: "enforce" }, ["shop", "enforce"], "habits enforce"],
    ["/habits/shop/learn", SHAPES, ["shop", SHAPES.shapes], "habits learn"],
    ["/habits/shop/learn", {}, ["shop", undefined], "habits learn"],
    ["/habits/shop/reset", { what: "budgets" }, ["shop", "budgets"], "habits reset"],
  ])("%s is an operator's, and on record", async (path, body, call, operation) => {
    expect(await as("alice", "POST", path, body)).toBe(403);
    expect(done).toEqual([]);
    expect(await as("olga", "POST", path, body)).toBe(204);
    expect(done).toEqual([call]);
    expect(admin.audit.at(-1)).toMatchObject({ person: "olga", operation, outcome: "done" });
    expect(await as("olga", "POST", path.replace("shop", "nobody"), body)).toBe(404);
  });

  it("are seen by operators only", async () => {
    expect(await as("olga", "GET", "/habits")).toEqual({ profiles: [PROFILE] });
    expect(await as("alice", "GET", "/habits")).toBe(403);
  });
});
