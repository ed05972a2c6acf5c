import fs from "node:fs";
import path from "node:path";
import Database from "libsql";
import { eachGram, GRAMS } from "../audit/grams.ts";
import { asText, parseRecord, type LoggedRecord } from "../audit/record.ts";
import type { Json } from "../base/canonical-json.ts";
import { objectNames } from "../audit/search.ts";
import { syncDirectory } from "./durable-files.ts";
import { blocksOf } from "./audit-content.ts";
import type { AuditFileName } from "./audit-file-names.ts";
import { ALWAYS, encodeBlocks, INDEX_FORMAT, indexPath } from "./audit-index.ts";

/** A block with more has so much in it that it is looked at anyway. Bounds what an index takes to be built. */
const MAX_GRAMS_A_BLOCK = 8192;
const KNOWN_TEXTS = 4096;

const SCHEMA = `
  PRAGMA journal_mode = OFF;
  PRAGMA synchronous = OFF;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE block (id INTEGER PRIMARY KEY, at INTEGER, bytes INTEGER, from_ms REAL, to_ms REAL);
  CREATE TABLE term (kind TEXT, value TEXT, blocks BLOB, PRIMARY KEY (kind, value)) WITHOUT ROWID;
  CREATE TABLE gram (gram INTEGER PRIMARY KEY, blocks BLOB);
`;

/**
 * Builds the index of a file that is not written to any more, from nothing but the file.
 *
 * @param spilledText - the text of a statement that was too long for its record; `undefined` when it is gone
 * @throws Error as `fs` does
 */
export function buildIndex(
  file: AuditFileName,
  spilledText: (sha256: string) => string | undefined,
): void {
  const builder = new IndexBuilder(spilledText);
  for (const { at, bytes } of blocksOf(file)) builder.add(at, bytes);
  const target = indexPath(file);
  const unfinished = `${target}.part`;
  fs.rmSync(unfinished, { force: true });
  fs.closeSync(fs.openSync(unfinished, "wx", 0o600));
  const database = new Database(unfinished);
  try {
    database.exec(SCHEMA);
    database.exec("BEGIN");
    builder.writeTo(database);
    database.exec("COMMIT");
  } finally {
    database.close();
  }
  const fd = fs.openSync(unfinished, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(unfinished, target);
  syncDirectory(path.dirname(target));
}

interface IndexedBlock {
  readonly at: number;
  readonly bytes: number;
  fromMs: number;
  toMs: number;
}

/** Which blocks have what, in memory: some ten bytes for each thing that a block has. */
class IndexBuilder {
  readonly #spilledText: (sha256: string) => string | undefined;
  readonly #blocks: IndexedBlock[] = [];
  readonly #terms = new Map<string, Map<string, number[]>>();
  readonly #grams = new Map<number, number[]>();
  /** The block, counted from 1, that a gram was last seen in. */
  readonly #seenIn = new Uint32Array(GRAMS);
  readonly #textGrams = new Map<string, Uint32Array>();
  readonly #always: number[] = [];
  #records = 0;
  #last: LoggedRecord | undefined;

  constructor(spilledText: (sha256: string) => string | undefined) {
    this.#spilledText = spilledText;
  }

  add(at: number, bytes: Buffer): void {
    const block: IndexedBlock = { at, bytes: bytes.length, fromMs: Infinity, toMs: -Infinity };
    this.#blocks.push(block);
    const texts = new Set<string>();
    let isWhole = true;
    for (let start = 0; start < bytes.length;) {
      const lineEnd = bytes.indexOf(0x0a, start);
      const end = lineEnd === -1 ? bytes.length : lineEnd;
      const record = readRecord(bytes.subarray(start, end));
      if (record === undefined) isWhole = false;
      else {
        this.#records += 1;
        this.#last = record;
        const timeMs = Date.parse(record.time);
        block.fromMs = Math.min(block.fromMs, timeMs);
        block.toMs = Math.max(block.toMs, timeMs);
        isWhole = this.#addTerms(record, texts) && isWhole;
      }
      start = end + 1;
    }
    // What can't be read has to be looked at, whatever is asked for.
    if (!this.#addGrams(texts) || !isWhole) this.#always.push(this.#blocks.length - 1);
  }

  writeTo(database: Database.Database): void {
    const blocks = this.#blocks;
    const meta = database.prepare("INSERT INTO meta VALUES (?, ?)");
    const last = blocks.at(-1);
    for (const [name, value] of Object.entries({
      format: INDEX_FORMAT,
      bytes: last === undefined ? 0 : last.at + last.bytes,
      records: this.#records,
      last_seq: this.#last?.seq ?? 0,
      last_hash: this.#last?.hash ?? "",
    })) {
      meta.run(name, value);
    }
    const block = database.prepare("INSERT INTO block VALUES (?, ?, ?, ?, ?)");
    blocks.forEach(({ at, bytes, fromMs, toMs }, id) => {
      const isTimed = fromMs <= toMs;
      block.run(id, at, bytes, isTimed ? fromMs : null, isTimed ? toMs : null);
    });
    const term = database.prepare("INSERT INTO term VALUES (?, ?, ?)");
    for (const [kind, values] of [...this.#terms].sort(byKey)) {
      for (const [value, list] of [...values].sort(byKey)) {
        term.run(kind, value, encodeBlocks(list, blocks.length));
      }
    }
    const gram = database.prepare("INSERT INTO gram VALUES (?, ?)");
    gram.run(ALWAYS, encodeBlocks(this.#always, blocks.length));
    for (const [key, list] of [...this.#grams].sort(([a], [b]) => a - b)) {
      gram.run(key, encodeBlocks(list, blocks.length));
    }
  }

  /** @returns whether all of it could be read */
  #addTerms({ event, fields }: LoggedRecord, texts: Set<string>): boolean {
    this.#term("event", event);
    this.#term("event", event.slice(0, Math.max(0, event.indexOf("."))));
    for (const kind of ["person", "database", "request"] as const) {
      const value = fields[kind];
      if (typeof value === "string") this.#term(kind, value);
    }
    const { effects } = fields;
    if (Array.isArray(effects)) {
      for (const effect of effects as readonly Json[]) this.#term("effect", asText(effect));
    }
    if (fields["destructive"] === true) this.#term("effect", "destructive");
    for (const name of objectNames(fields["objects"])) this.#term("object", name);
    if (event === "chain.torn_tail") this.#term("torn", asText(fields["file"]));
    if (fields["sql_spilled"] !== true) {
      if (typeof fields["sql"] === "string") texts.add(fields["sql"]);
      return true;
    }
    const sha256 = asText(fields["sql_sha256"]);
    this.#term("spilled", sha256);
    const text = this.#spilledText(sha256);
    if (text !== undefined) texts.add(text);
    return text !== undefined;
  }

  #term(kind: string, value: string): void {
    let values = this.#terms.get(kind);
    if (values === undefined) this.#terms.set(kind, (values = new Map<string, number[]>()));
    let list = values.get(value);
    if (list === undefined) values.set(value, (list = []));
    const block = this.#blocks.length - 1;
    if (list.at(-1) !== block) list.push(block);
  }

  /** @returns whether there were not too many */
  #addGrams(texts: ReadonlySet<string>): boolean {
    const mark = this.#blocks.length;
    const found: number[] = [];
    for (const text of texts) {
      for (const gram of this.#gramsOf(text)) {
        if (this.#seenIn[gram] === mark) continue;
        this.#seenIn[gram] = mark;
        found.push(gram);
      }
      if (found.length > MAX_GRAMS_A_BLOCK) return false;
    }
    for (const gram of found) {
      const list = this.#grams.get(gram);
      if (list === undefined) this.#grams.set(gram, [mark - 1]);
      else list.push(mark - 1);
    }
    return true;
  }

  #gramsOf(text: string): Uint32Array {
    const known = this.#textGrams.get(text);
    if (known !== undefined) return known;
    const grams = new Set<number>();
    eachGram(text, (gram) => {
      grams.add(gram);
    });
    const list = Uint32Array.from(grams);
    if (text.length < 1000 && this.#textGrams.size < KNOWN_TEXTS) this.#textGrams.set(text, list);
    return list;
  }
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function readRecord(line: Buffer): LoggedRecord | undefined {
  try {
    return parseRecord(line);
  } catch {
    return undefined; // its block is marked by the caller
  }
}
