import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { RawClient } from "../../support/raw-client.ts";
import { startWorld, valueOf, type World, type WorldOptions } from "./world.ts";

/** What Twokey refuses in these tests. */
export const REFUSED = "DROP TABLE keep";
/** What the server itself refuses, for comparison. */
export const FAILING = "DROP TABEL keep";

interface Comparison {
  readonly world: World;
  readonly through: RawClient;
  readonly direct: RawClient;
}

/**
 * One world for a file of tests; for each test the empty tables `keep` and `work`, a session through Twokey and one at
 * the server, handed to `receive`.
 */
export function compareInOneWorld(
  options: WorldOptions,
  receive: (comparison: Comparison) => void,
): void {
  let world: World;
  beforeAll(async () => {
    world = await startWorld(options);
  });
  afterAll(async () => {
    await world.stop();
  });
  beforeEach(async () => {
    await world.witness.query(
      "DROP TABLE IF EXISTS keep, work; CREATE TABLE keep (a int); CREATE TABLE work (a int)",
    );
    receive({ world, through: await world.through(), direct: await world.direct() });
  });
  afterEach(() => {
    world.hangUp();
  });
}

export function countOf({ witness }: World, table: string): Promise<unknown> {
  return valueOf(witness, `SELECT count(*)::int FROM ${table}`);
}

/** A refusal is 42501 and the server's syntax error 42601; all other codes have to agree. */
export function withoutCode(answer: string): string {
  return answer.replace(/^E 42[56]01$/, "E refused");
}
