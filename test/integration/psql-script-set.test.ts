import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bind, describePortal, execute, parse, sync, type Answer } from "../support/raw-client.ts";
import { hasPsql, masked, runPsql } from "../support/psql.ts";
import { ALLOW_ALL } from "../support/twokey.ts";
import { builtInValues } from "./psql/built-in-values.ts";
import { startWorld, type World } from "./protocol/world.ts";

// psql, and every built-in type in binary, directly and through Twokey: not a byte's difference.

const SCRIPTS = path.join(import.meta.dirname, "psql");
const scripts = readdirSync(SCRIPTS).filter((name) => name.endsWith(".sql"));

/** psql's exit status: 3 stopped at an error, 2 lost its connection. */
const ENDS_WITH: Readonly<Record<string, number>> = {
  "10-on-error-stop.sql": 3,
  "13-reconnect.sql": 2,
};

let world: World;
let folder: string;

beforeAll(async () => {
  world = await startWorld({
    rules: ALLOW_ALL,
    databases: { shop: "production", scripted: "production" },
  });
  folder = mkdtempSync(path.join(tmpdir(), "twokey-psql-"));
  writeFileSync(path.join(folder, "import"), Buffer.alloc(10_000, "large object\0"));
});

afterAll(async () => {
  await world.stop();
  rmSync(folder, { recursive: true });
});

const isThere = hasPsql();
if (!isThere) process.stdout.write("left out: the psql script set (psql is not installed)\n");

describe.skipIf(!isThere)("psql", () => {
  it.each(scripts)("%s: the same output and exit status through Twokey", async (name) => {
    const told = [];
    for (const login of [world.loginDirect, world.loginThrough]) {
      await world.witness.query("DROP DATABASE IF EXISTS scripted WITH (FORCE)");
      await world.witness.query("CREATE DATABASE scripted TEMPLATE template0");
      const ran = await runPsql({
        login: { ...login, database: "scripted" },
        file: path.join(SCRIPTS, name),
        variables: { file: path.join(folder, "import"), export: path.join(folder, "export") },
      });
      told.push({ ...ran, out: masked(ran.out), err: masked(ran.err) });
    }
    const [direct, through] = told;
    expect(through).toEqual(direct);
    // It ran to its end, or to the error that it was to stop at.
    expect(direct?.status).toBe(ENDS_WITH[name] ?? 0);
    expect(direct?.out.length).toBeGreaterThan(20);
  });
});

describe("every built-in type in binary", () => {
  it("gives the same RowDescription and DataRow through Twokey", async () => {
    const values = await builtInValues(world.witness);
    // About 190 types: base types, ranges, multiranges and their arrays.
    expect(values.length).toBeGreaterThan(150);
    const direct = await world.direct();
    const through = await world.through();
    let withBytes = 0;
    for (const { type, expression } of values) {
      const ask = [
        parse("", `SELECT ${expression} AS v`),
        bind({ resultFormats: [1] }),
        describePortal(),
        execute(),
        sync(),
      ];
      direct.send(...ask);
      through.send(...ask);
      const its = (await direct.untilReady()).map(written);
      expect((await through.untilReady()).map(written), type).toEqual(its);
      if (its.some((answer) => answer.startsWith("D 0001") && answer.slice(6, 14) !== "ffffffff"))
        withBytes += 1;
    }
    // All but those few whose values no SQL can write, or that have no binary form.
    expect(values.length - withBytes).toBeLessThan(20);
  });
});

const written = ({ type, body }: Answer): string => `${type} ${body.toString("hex")}`;
