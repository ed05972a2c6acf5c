import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import type { RequestId } from "../../src/approvals/request-id.ts";
import { openSqliteRequestStore } from "../../src/store/requests-sqlite.ts";
import { addSeconds } from "../../src/approvals/instant.ts";
import { ASKED, countingApproval, NOW, TERMS } from "../approvals/people.ts";

const folder = mkdtempSync(join(tmpdir(), "twokey-killed-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const PROGRAM = fileURLToPath(new URL("../store/use-until-killed.ts", import.meta.url));

/** Opens an approved request in a new store. */
async function approved(file: string, uses: number): Promise<RequestId> {
  const store = await openSqliteRequestStore({ file, maxOpenPerRequester: 1 });
  const asked = { ...ASKED, terms: { ...TERMS, maxUses: uses } };
  const opening = await store.openOrJoin(asked, { now: NOW, expiresAt: addSeconds(NOW, 60) });
  if (opening.kind === "too_many_open") throw new Error("too many open");
  const { request } = opening;
  await store.addApproval(request.id, countingApproval("bob", request, { uses }), NOW);
  await store.close();
  return request.id;
}

/** Runs the program; kills it once it has printed `killAfter` uses. Resolves with all uses it said it got. */
async function run(file: string, id: RequestId, killAfter = Infinity): Promise<string[]> {
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, file, id, "killed"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  const got: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    got.push(line);
    if (got.length === killAfter) child.kill("SIGKILL");
  }
  await exit;
  return got;
}

it("keeps every use that was handed out when the process is killed", async () => {
  const file = join(folder, "killed.db");
  const id = await approved(file, 10_000);
  const handedOut: string[] = [];
  for (const killAfter of [1, 7, 30]) handedOut.push(...(await run(file, id, killAfter)));

  const store = await openSqliteRequestStore({ file, maxOpenPerRequester: 1 });
  const kept = (await store.get(id))?.uses ?? [];
  const unsettled = (await store.unsettled()).map(({ use }) => use.id);
  await store.close();
  const ids = kept.map((use) => use.id as string);
  expect(ids).toEqual(expect.arrayContaining(handedOut));
  // Taken, but killed before it could say so: at most one a kill, and known as not on record.
  expect(ids.length - handedOut.length).toBeLessThanOrEqual(3);
  expect([...unsettled].sort()).toEqual([...ids].sort());
  expect(kept.map(({ step }) => step)).toEqual([...ids.keys()]);
});

it("hands each use to one process only, however many there are", async () => {
  const file = join(folder, "raced.db");
  const id = await approved(file, 60);
  const handedOut = (await Promise.all([run(file, id), run(file, id), run(file, id)])).flat();
  expect(handedOut).toHaveLength(60);
  expect(new Set(handedOut).size).toBe(60);
});
