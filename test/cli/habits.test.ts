import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HabitsView, SilenceView } from "../../src/admin/watch-routes.ts";
import { openTestAdmin, type TestAdmin } from "../admin/harness.ts";
import { Home, type Ran } from "./harness.ts";

let admin: TestAdmin;
let home: Home;
let silences: SilenceView[];
let done: unknown[];

const AT = "2026-11-23T11:00:00.000Z";
const PROFILE: HabitsView = {
  name: "shop",
  mode: "warn",
  habit: "shop-app",
  since: AT,
  known: [{ shape: "0123456789abcdef", sample: "SELECT a FROM t", database: "shop", since: AT }],
  unknown: [
    { shape: "fedcba9876543210", sample: "DELETE FROM t", database: "shop", since: AT, times: 3 },
  ],
};

beforeEach(async () => {
  silences = [];
  done = [];
  const note = (...what: unknown[]): boolean => {
    done.push(what);
    return true;
  };
  admin = await openTestAdmin({
    silences: {
      rules: ["statement-refused"],
      list: () => silences,
      add: (silence) => {
        const made = { id: "S-1", ...silence };
        silences.push(made);
        return made;
      },
      remove: (id) => silences.splice(0).some((silence) => silence.id === id),
    },
    habits: { list: () => [PROFILE], promote: note, learn: note, reset: note },
  });
  admin.clock.now = Date.now();
  home = new Home();
});
afterEach(async () => {
  home.remove();
  await admin.close();
});

function run(...argv: string[]): Promise<Ran> {
  return home.run([...argv, "--url", admin.url, "--as", "olga", "--key", home.key("olga")]);
}

describe("twokey habits", () => {
  it("lists profiles and shows one, what is unknown first", async () => {
    expect((await run("habits", "list")).stdout).toBe(
      [
        "name  habit     mode  known  unknown  since",
        `shop  shop-app  warn  1      1        ${AT}`,
        "",
      ].join("\n"),
    );
    expect((await run("habits", "show", "shop")).stdout.split("\n").slice(1)).toEqual([
      `unknown  fedcba9876543210  shop      ${AT}  3      DELETE FROM t`,
      `known    0123456789abcdef  shop      ${AT}         SELECT a FROM t`,
      "",
    ]);
    expect(await run("habits", "show", "nobody")).toMatchObject({ status: 1 });
  });

  it("promotes, learns and resets", async () => {
    expect(await run("habits", "promote", "shop", "--to", "enforce")).toMatchObject({ status: 0 });
    await run("habits", "learn", "shop", "fedcba9876543210");
    await run("habits", "learn", "shop", "--all");
    await run("habits", "reset", "shop", "--budgets");
    expect(done).toEqual([
      ["shop", "enforce"],
      ["shop", ["fedcba9876543210"]],
      ["shop", undefined],
      ["shop", "budgets"],
    ]);
    expect(await run("habits", "learn", "shop")).toMatchObject({ status: 2 });
  });
});

describe("twokey alerts", () => {
  it("silences a rule, lists what is silent, and ends it", async () => {
    const silence = ["alerts", "silence", "statement-refused", "--reason", "migration 4711"];
    const made = await run(...silence, "--for", "2h", "--person", "alice");
    const [only] = silences;
    expect(made.stdout).toBe(`S-1: statement-refused is silent until ${only?.until ?? ""}\n`);
    expect(only).toMatchObject({ person: "alice", reason: "migration 4711", by: "olga" });
    expect((await run("alerts", "silences")).stdout).toContain("migration 4711");
    expect((await run("alerts", "unsilence", "S-1")).stdout).toBe("S-1 is over\n");
    expect((await run("alerts", "silences")).stderr).toBe("nothing is silent\n");
    expect(await run(...silence, "--for", "soon")).toMatchObject({ status: 2 });
  });
});
