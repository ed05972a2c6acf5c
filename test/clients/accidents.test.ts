import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { note } from "../support/facts.ts";
import { ACCIDENTS, type Accident } from "./accidents.ts";
import { missingFor, prepare, run, TOOLCHAINS, type ToolchainName } from "./toolchains.ts";
import { environmentOf, startPlace, type Place } from "./world.ts";

const REFUSAL = /twokey: [^\n]* needs a second person in production/;

let production: Place;
let development: Place;

beforeAll(async () => {
  [production, development] = await Promise.all([
    startPlace("production"),
    startPlace("development"),
  ]);
});

afterAll(async () => {
  await Promise.all([production.stop(), development.stop()]);
});

for (const name of Object.keys(TOOLCHAINS) as ToolchainName[]) {
  const accidents = ACCIDENTS.filter(({ toolchain }) => toolchain === name);
  if (accidents.length === 0) continue;
  const missing = await missingFor(name);
  if (missing !== undefined) {
    for (const { command } of accidents)
      note({ kind: "left out", client: command, reason: missing });
  }
  describe.skipIf(missing !== undefined)(name, () => {
    let folder: string;

    beforeAll(async () => {
      folder = await prepare(name);
    });

    const perform = async (
      { env = {} }: Accident,
      [program, ...args]: readonly [string, ...string[]],
      place: Place,
    ): Promise<{ status: number; said: string }> => {
      const { status, out, err } = await run(program, args, {
        cwd: folder,
        env: { ...environmentOf(place.through), ...env },
      });
      return { status, said: `${out}${err}` };
    };

    const prepared = async (accident: Accident, place: Place): Promise<string> => {
      await place.renew();
      for (const step of accident.before) {
        const { status, said } = await perform(accident, step, place);
        if (status !== 0) throw new Error(`${step.join(" ")} ended with ${status}: ${said}`);
      }
      return contentsOf(place);
    };

    it.each(accidents)("$command", async (accident) => {
      const before = await prepared(accident, production);
      const refused = await perform(accident, accident.run, production);
      const { says, isAlwaysPleased = false, failsAfterwards } = accident;
      expect(refused.said).toMatch(says?.text ?? REFUSAL);
      if (!isAlwaysPleased) expect(refused.status).not.toBe(0);
      expect(await contentsOf(production)).toBe(before);

      const there = await prepared(accident, development);
      const allowed = await perform(accident, accident.run, development);
      if (failsAfterwards === undefined) expect(allowed.status, allowed.said).toBe(0);
      expect(allowed.said).not.toMatch(/twokey: /);
      expect(await contentsOf(development)).not.toBe(there);
      const { tool, command } = accident;
      const buts = [
        ...(says === undefined ? [] : [says.meaning]),
        ...(isAlwaysPleased ? ["it leaves with status 0"] : []),
      ];
      note({
        kind: "accident",
        tool,
        command,
        production: buts.length === 0 ? "refused" : `refused, but ${buts.join(", and ")}`,
        development: failsAfterwards === undefined ? "done" : `done (then ${failsAfterwards})`,
      });
    });
  });
}

/** Every column and constraint of the database's own, and how many rows each table has; as the server itself tells. */
async function contentsOf({ direct, witness }: Place): Promise<string> {
  const { host, port } = direct;
  const { password } = witness;
  const client = new pg.Client({
    host,
    port,
    password: password as string,
    user: "postgres",
    database: "shop",
    ssl: { rejectUnauthorized: false },
  });
  try {
    await client.connect();
  } catch (error) {
    if ((error as { code?: string }).code === "3D000") return "gone";
    throw error;
  }
  try {
    const { rows } = await client.query<{ what: string }>(CONTENTS);
    return rows.map(({ what }) => what).join("\n");
  } finally {
    await client.end();
  }
}

const CONTENTS = `
  WITH own AS (
    SELECT c.oid, c.oid::regclass::text AS name, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname NOT LIKE 'pg_%' AND nspname <> 'information_schema'
  )
  SELECT what FROM (
    SELECT 'relation ' || name || ' ' || relkind::text FROM own
    UNION ALL
    SELECT 'column ' || name || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull::text
    FROM own JOIN pg_attribute ON attrelid = own.oid WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'constraint ' || name || ' ' || conname || ' ' || pg_get_constraintdef(c.oid) FROM own JOIN pg_constraint c ON conrelid = own.oid
    UNION ALL
    SELECT 'type ' || oid::regtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'rows ' || name || ' ' || (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM ' || name, false, true, '')))[1]::text
    FROM own WHERE relkind = 'r'
  ) AS contents (what)
  ORDER BY what`;
