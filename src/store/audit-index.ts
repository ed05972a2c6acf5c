/**
 * The index of a closed file of the log: which of its blocks have a person, a database, an effect, an object, a request, an
 * event, or three letters of a statement in a row. It is there to know where not to look; what is found is read from the
 * file. It can be thrown away at any time, and is made again from the file alone.
 */
import fs from "node:fs";
import Database from "libsql";
import { eachGram, GRAM_CHARACTERS } from "../audit/grams.ts";
import type { SearchFilter } from "../audit/search.ts";
import type { AuditContent } from "./audit-content.ts";
import type { AuditFileName } from "./audit-file-names.ts";

export const INDEX_FORMAT = 1;

/** In the place of a gram: blocks that have to be looked at whatever is asked for. */
export const ALWAYS = -1;

export interface BlockPlace {
  readonly at: number;
  readonly bytes: number;
}

export function indexPath({ path }: AuditFileName): string {
  return path.replace(/\.jsonl(\.zst)?$/, ".index");
}

/**
 * Opens the index of a file.
 *
 * @param content - the file, open
 * @returns `undefined` when there is none, or it was made of something else than what the file is now
 */
export function openIndex(file: AuditFileName, content: AuditContent): AuditIndex | undefined {
  const filePath = indexPath(file);
  if (!fs.existsSync(filePath)) return undefined;
  let database: Database.Database | undefined;
  try {
    database = new Database(filePath, { readonly: true });
    const meta = new Map(
      database.prepare("SELECT name, value FROM meta").raw().all() as [string, unknown][],
    );
    const isOfFile =
      meta.get("format") === INDEX_FORMAT &&
      meta.get("bytes") === content.bytes &&
      meta.get("last_hash") === content.last()?.hash;
    if (isOfFile) return new AuditIndex(database);
  } catch {
    // A damaged index is none: the file is read instead.
  }
  database?.close();
  return undefined;
}

type BlockRow = readonly [at: number, bytes: number, fromMs: number | null, toMs: number | null];

export class AuditIndex {
  readonly #database: Database.Database;
  readonly #blocks: readonly BlockRow[];

  constructor(database: Database.Database) {
    this.#database = database;
    this.#blocks = database
      .prepare("SELECT at, bytes, from_ms, to_ms FROM block ORDER BY id")
      .raw()
      .all() as BlockRow[];
  }

  /** The blocks that may have what is asked for, in order. All others have not. */
  candidates(filter: SearchFilter): BlockPlace[] {
    const { sinceMs = -Infinity, untilMs = Infinity } = filter;
    const wanted = this.#withTerms(filter);
    return this.#blocks.flatMap(([at, bytes, fromMs, toMs], id) => {
      if (wanted !== undefined && !wanted.has(id)) return [];
      const isInTime = fromMs === null || toMs === null || (toMs >= sinceMs && fromMs < untilMs);
      return isInTime ? [{ at, bytes }] : [];
    });
  }

  /** Files beside the log that records name. */
  attachments(kind: "spilled" | "torn"): string[] {
    return this.#database
      .prepare("SELECT value FROM term WHERE kind = ?")
      .raw()
      .all(kind)
      .map((row) => (row as [string])[0]);
  }

  close(): void {
    this.#database.close();
  }

  #withTerms(filter: SearchFilter): Set<number> | undefined {
    const term = this.#database.prepare("SELECT blocks FROM term WHERE kind = ? AND value = ?");
    const gram = this.#database.prepare("SELECT blocks FROM gram WHERE gram = ?");
    let wanted: Set<number> | undefined;
    const narrow = (row: unknown): void => {
      const blocks = decodeBlocks((row as { blocks: Buffer } | undefined)?.blocks);
      wanted = new Set(wanted === undefined ? blocks : blocks.filter((id) => wanted?.has(id)));
    };
    for (const kind of ["request", "object", "person", "effect", "event", "database"] as const) {
      const value = filter[kind];
      if (value !== undefined && wanted?.size !== 0) narrow(term.get(kind, value));
    }
    const grams = new Set<number>();
    if ((filter.sql?.length ?? 0) >= GRAM_CHARACTERS) {
      eachGram(filter.sql ?? "", (key) => {
        grams.add(key);
      });
    }
    for (const key of grams) if (wanted?.size !== 0) narrow(gram.get(key));
    if (wanted === undefined) return undefined;
    const always = gram.get(ALWAYS) as { blocks: Buffer } | undefined;
    for (const id of decodeBlocks(always?.blocks)) wanted.add(id);
    return wanted;
  }
}

const LIST = 0;
const BITS = 1;

/** Blocks as a list of numbers of four bytes, or as a bit for each block there is, whichever is shorter. */
export function encodeBlocks(list: readonly number[], blocks: number): Buffer {
  if (list.length * 4 <= blocks / 8) {
    const encoded = Buffer.alloc(1 + list.length * 4, LIST);
    list.forEach((id, i) => encoded.writeUInt32LE(id, 1 + i * 4));
    return encoded;
  }
  const encoded = Buffer.alloc(1 + Math.ceil(blocks / 8));
  encoded[0] = BITS;
  for (const id of list) {
    const at = 1 + (id >> 3);
    encoded[at] = (encoded[at] ?? 0) | (1 << (id & 7));
  }
  return encoded;
}

function decodeBlocks(stored: Uint8Array | undefined): number[] {
  if (stored === undefined) return [];
  const encoded = Buffer.from(stored);
  const blocks: number[] = [];
  if (encoded[0] === LIST) {
    for (let at = 1; at + 4 <= encoded.length; at += 4) blocks.push(encoded.readUInt32LE(at));
    return blocks;
  }
  for (let at = 1; at < encoded.length; at += 1) {
    const byte = encoded[at] ?? 0;
    for (let bit = 0; byte >> bit > 0; bit += 1) {
      if (((byte >> bit) & 1) === 1) blocks.push((at - 1) * 8 + bit);
    }
  }
  return blocks;
}
