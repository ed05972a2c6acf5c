import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { frontendStream } from "../../fuzz/protocol.ts";
import { query, sync } from "../../support/raw-client.ts";
import { startWorld, valueOf, type World } from "./world.ts";

let world: World;

beforeAll(async () => {
  world = await startWorld();
  await world.witness.query(
    "CREATE TABLE keep (a int); INSERT INTO keep VALUES (1); CREATE TABLE work (a text)",
  );
});

afterAll(async () => {
  await world.stop();
});

const RUNS = Number(process.env["TWOKEY_FUZZ_RUNS"] ?? 150);

it(
  "whatever a frontend sends, nothing refused runs, nothing hangs, and others go on",
  async () => {
    const other = await world.through();
    await fc.assert(
      fc.asyncProperty(
        frontendStream,
        fc.integer({ min: 1, max: 64 }),
        async (stream, pieceBytes) => {
          const client = await world.through();
          await client.sendInPieces(stream, pieceBytes);
          // The last two end any COPY and any pipeline; then it either answers, or was closed.
          client.send(Buffer.from("c\0\0\0\x04"), sync(), query("SELECT 'alive'"));
          client.socket.end();
          await client.untilEnd();
          expect(await valueOf(world.witness, "SELECT count(*)::int FROM keep")).toBe(1);
          expect(await other.ask(query("SELECT 1"))).toContain("C SELECT 1");
          client.close();
        },
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  120_000 + RUNS * 500,
);
