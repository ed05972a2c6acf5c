import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  bind,
  copyData,
  execute,
  flush,
  parse,
  query,
  sync,
  type RawClient,
} from "../../support/raw-client.ts";
import { requestIn, sign } from "./signing.ts";
import { startWorld, valueOf, type World } from "./world.ts";

// Attempts at making the proxy believe that a name stands for something harmless while, for the server, it stands for
// what needs a second person. Such a text with parameters gets as far as the server, since only Bind has its values.

const HARMLESS = "SELECT $1::bool";
const HARMFUL = "DELETE FROM keep WHERE $1::bool";

let world: World;
let through: RawClient;

beforeAll(async () => {
  world = await startWorld({
    rules: [
      {
        name: "two-people",
        destructive: true,
        action: "require_approval",
        approval: { approvers: ["lead"], max_uses: 1 },
      },
      {
        name: "two-people-for-deleting",
        effects: { any: ["delete"] },
        action: "require_approval",
        approval: { approvers: ["lead"], max_uses: 1 },
      },
      { name: "everything-else", action: "allow" },
    ],
  });
});

afterAll(async () => {
  await world.stop();
});

beforeEach(async () => {
  await world.witness.query(
    "DROP TABLE IF EXISTS keep, work; CREATE TABLE keep (a int); INSERT INTO keep VALUES (1), (2); CREATE TABLE work (a int)",
  );
  through = await world.through();
});

afterEach(() => {
  world.hangUp();
});

const kept = (): Promise<unknown> => valueOf(world.witness, "SELECT count(*)::int FROM keep");

const COPY = [parse("c", "COPY work FROM STDIN"), bind({ statement: "c" }), execute()];

describe("43: a text that needs a second person is not run under an older one's name", () => {
  it("whose Parse stands behind a COPY that has failed", async () => {
    await through.ask(parse("", HARMLESS), sync());
    through.send(...COPY, flush());
    await through.until("G");
    through.send(copyData("not a number\n"), sync(), parse("", HARMFUL), sync());
    await through.until("Z");
    await through.quiet(100);
    through.send(bind({ values: ["true"] }), execute(), sync());
    await through.quiet(300);
    expect(await kept()).toBe(2);
  });

  it("nor when all of it comes at once", async () => {
    await through.ask(parse("", HARMLESS), sync());
    through.send(...COPY, copyData("not a number\n"), sync(), parse("", HARMFUL), sync());
    await through.until("Z");
    await through.quiet(100);
    through.send(bind({ values: ["true"] }), execute(), sync());
    await through.quiet(300);
    expect(await kept()).toBe(2);
  });

  it("whose Parse stands behind a timeout between two messages", async () => {
    await through.ask(parse("", HARMLESS), sync());
    await through.ask(query("SET statement_timeout TO '200ms'"));
    // Its clock runs from the first message; when it rings, the server waits for the next, and does not skip that.
    through.send(parse("z", "SELECT 1"), flush());
    await through.until("1");
    await new Promise((resolve) => setTimeout(resolve, 199));
    through.send(bind({ statement: "z" }), parse("", HARMFUL), flush());
    await through.quiet(100);
    through.send(sync());
    await through.quiet(100);
    through.send(bind({ values: ["true"] }), execute(), sync());
    await through.quiet(300);
    expect(await kept()).toBe(2);
  });
});

describe("43: one signature is one run, whatever runs it", () => {
  const text = "DELETE FROM keep WHERE a = $1 RETURNING a";
  const values = ["1"];

  it.each([
    ["FETCH", (portal: string) => `FETCH ALL FROM ${portal}`],
    [
      "a function that fetches",
      (portal: string) => `SELECT cursor_to_xml('${portal}', 9, false, false, '')`,
    ],
  ])(
    "%s from the portal, which takes no further use",
    async (_, fetch) => {
      await through.ask(parse("s", text, [23]), sync());
      through.send(bind({ portal: "p", statement: "s", values }), sync());
      const [error] = await through.untilReady();
      await sign(world, requestIn(error));
      const bound = bind({ portal: "p", statement: "s", values });
      await through.ask(query("BEGIN"));
      expect(await through.ask(bound, sync())).toEqual(["2", "Z T"]);
      expect(await through.ask(query(fetch("p")))).toContain("D");
      await through.ask(query("COMMIT"));
      expect(await kept()).toBe(1);
      await world.witness.query("INSERT INTO keep VALUES (1)");
      await through.ask(query("BEGIN"));
      expect(await through.ask(bound, sync())).toEqual(["E 42501", "Z E"]);
      await through.ask(query(fetch("p")));
      await through.ask(query("COMMIT"));
      expect(await kept()).toBe(2);
    },
    60_000,
  );
});
