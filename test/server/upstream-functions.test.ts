import { afterEach, expect, it } from "vitest";
import { UpstreamFunctions, type ReadingFunctions } from "../../src/server/upstream-functions.ts";
import { openLog } from "../../src/telemetry/log.ts";

const READS: ReadingFunctions = {
  named: new Map([["shop", new Set(["reads", "ambiguous"])]]),
  everywhere: new Set(["reads"]),
};
const called = { schema: undefined, name: "reads" };
const open: UpstreamFunctions[] = [];

interface Answer {
  readonly resolve: (functions: ReadingFunctions) => void;
  readonly reject: (error: Error) => void;
}

/** Each reading of the catalogue waits for its answer. */
function newFunctions(): {
  readonly functions: UpstreamFunctions;
  readonly answers: Answer[];
} {
  const answers: Answer[] = [];
  const functions = new UpstreamFunctions({
    database: "shop",
    load: () =>
      new Promise((resolve, reject) => {
        answers.push({ resolve, reject });
      }),
    log: openLog({ level: "silent" }),
  });
  open.push(functions);
  return { functions, answers };
}

async function knowing(): Promise<ReturnType<typeof newFunctions>> {
  const made = newFunctions();
  const done = made.functions.refresh();
  made.answers[0]?.resolve(READS);
  await done;
  expect(made.functions.trusts(called)).toBe(true);
  return made;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((functions) => functions.close()));
});

it("knows nothing before the catalogue was read, and then what it says", async () => {
  const { functions, answers } = newFunctions();
  const done = functions.refresh();
  expect(functions.trusts(called)).toBe(false);
  answers[0]?.resolve(READS);
  await done;
  expect(functions.trusts(called)).toBe(true);
  expect(functions.trusts({ schema: "shop", name: "reads" })).toBe(true);
  expect(functions.trusts({ schema: "shop", name: "ambiguous" })).toBe(true);
  expect(functions.trusts({ schema: undefined, name: "ambiguous" })).toBe(false);
  expect(functions.trusts({ schema: "other", name: "reads" })).toBe(false);
});

it("knows nothing from a change until the catalogue was read after it", async () => {
  const { functions, answers } = await knowing();
  const one = {};
  const other = {};
  functions.changing(one);
  expect(functions.trusts(called)).toBe(false);
  functions.changing(other);
  functions.settled(one);
  const tooEarly = functions.refresh();
  answers[1]?.resolve(READS);
  await tooEarly;
  expect(functions.trusts(called)).toBe(false);
  functions.settled(other);
  const after = functions.refresh();
  answers[2]?.resolve(READS);
  await after;
  expect(functions.trusts(called)).toBe(true);
});

it("takes no reading that began before a change had ended", async () => {
  const { functions, answers } = await knowing();
  const who = {};
  const under = functions.refresh();
  functions.changing(who);
  functions.settled(who);
  answers[1]?.resolve(READS);
  await under;
  expect(functions.trusts(called)).toBe(false);
});

it("knows nothing while the catalogue can't be read", async () => {
  const { functions, answers } = await knowing();
  const failing = functions.refresh();
  answers[1]?.reject(new Error("gone"));
  await failing;
  expect(functions.trusts(called)).toBe(false);
});
