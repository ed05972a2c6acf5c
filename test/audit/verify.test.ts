import { hash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCheckpoint, type Checkpoint } from "../../src/audit/checkpoint.ts";
import type { ChainReport } from "../../src/audit/finding.ts";
import { parseChainId } from "../../src/audit/record.ts";
import type { VerifyOptions } from "../../src/audit/verify-options.ts";
import { ChainVerifier } from "../../src/audit/verify.ts";
import { ChainInMemory, OTHER_KEY, PUBLIC_KEY } from "../support/audit-chain.ts";

const CHAIN = parseChainId("9f86d081884c7d65");
const RECORDS = 40;
const NEXT_WITHIN = 12;

/** 40 records; checkpoints are 2, 10, 20, 30 and 40. */
function honest(
  options: { chain?: string; person?: string; key?: typeof OTHER_KEY } = {},
): Buffer[] {
  const chain = new ChainInMemory(options.chain, options.key);
  chain.add("chain.opened", { format: 1, after: "nothing", host: "h", pid: 1 });
  while (chain.lines.length < RECORDS) {
    const seq = chain.lines.length + 1;
    if (seq === 2 || seq % 10 === 0) chain.checkpoint(NEXT_WITHIN);
    else chain.add("session.end", { person: options.person ?? "bob", reason: `r${seq}` });
  }
  return chain.lines;
}

function verify(lines: readonly Buffer[], options: Partial<VerifyOptions> = {}): ChainReport {
  const verifier = new ChainVerifier(CHAIN, { publicKeys: [PUBLIC_KEY], anchors: [], ...options });
  verifier.startFile("audit.jsonl");
  verifier.feed(Buffer.concat(lines));
  return verifier.finish();
}

function first(report: ChainReport): string {
  const finding = report.findings[0];
  return finding === undefined ? "nothing" : `${finding.kind} ${finding.seq}`;
}

function anchorsOf(lines: readonly Buffer[]): Checkpoint[] {
  return lines
    .filter((line) => line.includes(`"event":"chain.checkpoint"`))
    .map((line) => parseCheckpoint(line.subarray(0, -1)));
}

function edit(line: Buffer, from: string, to: string): Buffer {
  return Buffer.from(line.toString().replace(from, to));
}

/** What someone does who knows the format: makes the line's hash right again, and its `prev` if asked. */
function reseal(line: Buffer, prev?: string): Buffer {
  let body = line.toString().replace(/,"hash":"[0-9a-f]{64}"\}\n$/, "");
  if (prev !== undefined) body = body.replace(/"prev":"[0-9a-f]{64}"/, `"prev":"${prev}"`);
  return Buffer.from(`${body},"hash":"${hash("sha256", body)}"}\n`);
}

function hashOf(line: Buffer): string {
  return line.toString("latin1", line.length - 67, line.length - 3);
}

/** The same, for every line from `from` on. */
function resealAll(lines: readonly Buffer[], from: number): Buffer[] {
  const out = [...lines];
  for (let i = from; i < out.length; i += 1) {
    const before = out[i - 1];
    out[i] = reseal(out[i] as Buffer, before === undefined ? undefined : hashOf(before));
  }
  return out;
}

describe("a log as it was written", () => {
  it("verifies, and says how far it is signed and that it ended in order or not", () => {
    expect(verify(honest())).toMatchObject({
      records: 40,
      lastSeq: 40,
      end: "open",
      checkpoints: 5,
      signedUpTo: 40,
      findings: [],
    });
    const closed = new ChainInMemory().add("chain.opened", {}).checkpoint(9);
    closed.add("chain.closed", { pid: 1 }).checkpoint(9);
    expect(verify(closed.lines)).toMatchObject({ end: "closed", findings: [] });
  });

  it("verifies however its bytes are cut, and over any number of files", () => {
    const lines = honest();
    const bytes = Buffer.concat(lines);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 60 }),
        fc.array(fc.integer({ min: 0, max: lines.length }), { maxLength: 4 }),
        (cuts, splits) => {
          const verifier = new ChainVerifier(CHAIN, { publicKeys: [PUBLIC_KEY], anchors: [] });
          const ends = splits.map((n) => Buffer.concat(lines.slice(0, n)).length);
          const places = [0, ...cuts, ...ends, bytes.length].sort((a, b) => a - b);
          for (const [i, from] of places.slice(0, -1).entries()) {
            if (i === 0 || ends.includes(from)) verifier.startFile(`file ${i}`);
            verifier.feed(bytes.subarray(from, places[i + 1]));
          }
          expect(verifier.finish()).toMatchObject({ records: 40, signedUpTo: 40, findings: [] });
        },
      ),
    );
  });

  it("tells a log in use, ending within a record, from a tampered one", () => {
    const lines = honest();
    const torn = (lines[39] as Buffer).subarray(0, 100);
    expect(verify([...lines.slice(0, 39), torn])).toMatchObject({
      end: "unfinished",
      findings: [],
    });
  });

  it("finds the files that belong to records", () => {
    const chain = new ChainInMemory().add("chain.opened", {}).checkpoint(9);
    const sha256 = hash("sha256", "x");
    chain.add("statement.decided", {
      sql_spilled: true,
      sql_bytes: 1,
      sql_sha256: sha256 as never,
    });
    chain.add("statement.decided", { sql: `,"sql_spilled":true`, sql_sha256: sha256 as never });
    chain.add("chain.torn_tail", { file: "torn.bin", bytes: 1, sha256: sha256 as never });
    expect(verify(chain.lines).attachments).toMatchObject([
      { seq: 3, kind: "spilled", sha256 },
      { seq: 5, kind: "torn", name: "torn.bin", sha256 },
    ]);
  });
});

describe("names the first bad record", () => {
  const lines = honest();
  const at = (n: number): Buffer => lines[n - 1] as Buffer;
  const before = (n: number): Buffer[] => lines.slice(0, n - 1);
  const after = (n: number): Buffer[] => lines.slice(n);
  const foreign = honest({ chain: "00000000000000aa" });
  const foreignLine = foreign[4] as Buffer;
  const forged = reseal(edit(at(5), "bob", "eve"));

  it.each<[name: string, lines: Buffer[], expected: string]>([
    ["an edit", [...before(5), edit(at(5), "bob", "eve"), ...after(5)], "edited 5"],
    ["an edit of the first", [edit(at(1), "nothing", "a crash"), ...after(1)], "edited 1"],
    ["an edit of the last", [...before(40), edit(at(40), "2026", "2025")], "edited 40"],
    ["an edit with its hash recomputed", [...before(5), forged, ...after(5)], "edited 5"],
    [
      "an edit of prev, recomputed",
      [...before(5), reseal(at(5), "0".repeat(64)), ...after(5)],
      "edited 5",
    ],
    [
      "two edits",
      [...before(5), edit(at(5), "b", "c"), edit(at(6), "b", "c"), ...after(6)],
      "edited 5",
    ],
    [
      "a line made longer than a record",
      [...before(5), Buffer.concat([Buffer.alloc(5 << 20, 0x20), at(5)]), ...after(5)],
      "edited 5",
    ],
    ["a line split in two", [...before(5), edit(at(5), ",", ",\n"), ...after(5)], "edited 5"],
    ["two lines made one", [...before(5), edit(at(5), "\n", ""), ...after(5)], "edited 5"],
    ["a deletion", [...before(5), ...after(5)], "deleted 5"],
    ["a deletion of many", [...before(5), ...after(25)], "deleted 5"],
    ["a deletion of the first", after(1), "deleted 1"],
    ["two deletions", [...before(5), ...lines.slice(5, 8), ...after(9)], "deleted 5"],
    ["a copy", [...before(6), at(5), ...lines.slice(5)], "inserted 5"],
    ["a copy far away", [...before(30), at(5), ...lines.slice(29)], "inserted 5"],
    [
      "an insertion of no record",
      [...before(6), Buffer.from("{}\n"), ...lines.slice(5)],
      "inserted 6",
    ],
    [
      "a forged record before the real one",
      [...before(5), forged, ...lines.slice(4)],
      "inserted 5",
    ],
    [
      "a forged record with a number far ahead",
      [...before(5), reseal(edit(at(5), `"seq":5`, `"seq":999`)), ...lines.slice(4)],
      "inserted 999",
    ],
    ["neighbours changed", [...before(5), at(6), at(5), ...after(6)], "reordered 6"],
    [
      "a record moved back",
      [...before(5), at(25), ...lines.slice(4, 24), ...after(25)],
      "reordered 25",
    ],
    [
      "a record moved on",
      [...before(5), ...lines.slice(5, 25), at(5), ...after(25)],
      "reordered 5",
    ],
    ["a record of another chain", [...before(5), foreignLine, ...lines.slice(4)], "spliced 5"],
    [
      "a record of another chain in place of one",
      [...before(5), foreignLine, ...after(5)],
      "spliced 5",
    ],
  ])("%s", (_, tampered, expected) => {
    expect(first(verify(tampered))).toBe(expected);
  });
});

describe("whoever recomputes all hashes after an edit", () => {
  const lines = honest();
  const rewritten = resealAll(
    lines.map((l, i) => (i === 4 ? edit(l, "bob", "eve") : l)),
    4,
  );

  it("is not seen without a key", () => {
    expect(first(verify(rewritten, { publicKeys: [] }))).toBe("nothing");
    expect(verify(rewritten, { publicKeys: [] }).signedUpTo).toBe(0);
  });

  it("is found by the next checkpoint's signature", () => {
    expect(first(verify(rewritten))).toBe("forged 10");
    expect(verify(rewritten).findings[0]?.message).toContain("records from 3 on");
  });

  it("is found by an anchor, with no key at all", () => {
    expect(first(verify(rewritten, { publicKeys: [], anchors: anchorsOf(lines) }))).toBe(
      "forged 10",
    );
  });

  it("is found when the log was signed with a key of their own", () => {
    expect(first(verify(honest({ key: OTHER_KEY })))).toBe("forged 2");
  });

  it("gains nothing from turning checkpoints into something else", () => {
    const without = lines.map((line, i) =>
      i >= 4 ? edit(line, "chain.checkpoint", "session.end") : line,
    );
    // 2 was the last checkpoint, and promised the next by record 14.
    expect(first(verify(resealAll(without, 4)))).toBe("unsigned 15");
  });

  it("gains nothing from records that are no JSON", () => {
    const broken = lines.map((line, i) => (i === 9 ? edit(line, `"key":`, `"key"`) : line));
    expect(first(verify(resealAll(broken, 9)))).toBe("forged 10");
  });

  it("may be rewriting the last few, which only an anchor shows", () => {
    const cut = lines.slice(0, 35);
    expect(first(verify(cut))).toBe("nothing");
    expect(first(verify(cut, { anchors: anchorsOf(lines) }))).toBe("truncated 36");
  });
});

const RUNS = Number(process.env["TWOKEY_PROPERTY_RUNS"] ?? 300);

describe("any tampering is found", { timeout: 5000 + 20 * RUNS }, () => {
  const lines = honest();
  const bytes = Buffer.concat(lines);
  const options = { publicKeys: [PUBLIC_KEY], anchors: anchorsOf(lines) };

  function isFound(tampered: Buffer): boolean {
    const report = verify([tampered], options);
    return report.findings.length > 0 || report.end === "unfinished";
  }
  const position = fc.nat({ max: bytes.length - 1 });
  const line = fc.nat({ max: lines.length - 1 });

  it("one changed byte, with the record named", () => {
    fc.assert(
      fc.property(position, fc.integer({ min: 1, max: 255 }), (i, change) => {
        const tampered = Buffer.from(bytes);
        tampered[i] = (tampered[i] ?? 0) ^ change;
        expect(isFound(tampered)).toBe(true);
        const seq = bytes.subarray(0, i).filter((byte) => byte === 0x0a).length + 1;
        const [finding] = verify([tampered], options).findings;
        expect(finding?.seq ?? seq).toBe(seq);
      }),
      { numRuns: RUNS },
    );
  });

  it("bytes cut out, put in, or moved", () => {
    fc.assert(
      fc.property(position, position, fc.uint8Array({ maxLength: 200 }), (a, b, put) => {
        const tampered = Buffer.concat([
          bytes.subarray(0, Math.min(a, b)),
          put,
          bytes.subarray(Math.max(a, b)),
        ]);
        fc.pre(!tampered.equals(bytes));
        expect(isFound(tampered)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  it("lines deleted, doubled, moved, or taken from another chain, whether hashes are made right or not", () => {
    const other = honest({ chain: "00000000000000aa", person: "eve" });
    const change = fc.record({
      at: line,
      to: line,
      what: fc.constantFrom("delete", "double", "move", "splice", "edit" as const),
      isResealed: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        let tampered = [...lines];
        for (const { to, what, isResealed, ...change } of changes) {
          if (tampered.length === 0) break;
          const at = change.at % tampered.length;
          const taken = tampered[at] ?? NOTHING;
          if (what === "delete" || what === "move") tampered.splice(at, 1);
          if (what === "move" || what === "double") tampered.splice(to, 0, taken);
          if (what === "splice") tampered.splice(to, 0, other[at] ?? NOTHING);
          if (what === "edit") tampered[at] = edit(taken, "bob", "eve");
          if (isResealed)
            tampered = [...tampered.slice(0, at), ...resealAll(tampered, at).slice(at)];
        }
        const result = Buffer.concat(tampered);
        fc.pre(!result.equals(bytes));
        expect(isFound(result)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  it("and it returns for bytes of any kind", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.uint8Array(), fc.constantFrom(...lines))), (pieces) => {
        verify(
          pieces.map((piece) => Buffer.from(piece)),
          options,
        );
      }),
      { numRuns: RUNS },
    );
  });
});

const NOTHING = Buffer.alloc(0);
