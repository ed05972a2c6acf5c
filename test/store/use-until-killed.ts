import { randomUUID } from "node:crypto";
import { parseRequestId } from "../../src/approvals/request-id.ts";
import type { UseId } from "../../src/approvals/request.ts";
import { openSqliteRequestStore } from "../../src/store/requests-sqlite.ts";
import { NOW } from "../approvals/people.ts";

// Takes one use after the other of a request and prints each that it got, until it is killed or none is left.
const [file = "", id = "", instance = ""] = process.argv.slice(2);
const store = await openSqliteRequestStore({ file, maxOpenPerRequester: 1 });
const request = parseRequestId(id);
for (;;) {
  const step = (await store.get(request))?.uses.length ?? 0;
  const use = { id: randomUUID() as UseId, step, instance, usedAt: NOW };
  const change = await store.consume(request, use);
  if (change.kind === "moved") process.stdout.write(`${use.id}\n`);
  else if (change.kind === "unknown_request" || change.because.kind !== "step_taken") break;
}
await store.close();
