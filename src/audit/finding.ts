import type { Sha256 } from "../base/digest.ts";
import type { ChainId } from "./record.ts";

/**
 * What is wrong with a log.
 *
 * - `edited`: a record is not what was written there
 * - `deleted`: records are missing in the middle or at the start
 * - `inserted`: a record too many
 * - `reordered`: a record stands in another place than it was written
 * - `spliced`: a record of another chain
 * - `truncated`: the log ends before a checkpoint that was anchored elsewhere
 * - `forged`: a checkpoint is not signed by the key, or not the one that was anchored: records before it were rewritten
 * - `unsigned`: the checkpoint that the last one promised is not there
 * - `attachment`: a file that a record names by its SHA-256 is missing or altered
 */
export type FindingKind =
  | "edited"
  | "deleted"
  | "inserted"
  | "reordered"
  | "spliced"
  | "truncated"
  | "forged"
  | "unsigned"
  | "attachment";

export interface Finding {
  readonly kind: FindingKind;
  /** The record that it is about, or whose place it is. */
  readonly seq: number;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** A file beside the log that a record names by its SHA-256. */
export interface Attachment {
  readonly seq: number;
  readonly kind: "spilled" | "torn";
  /** Of a `torn` tail, as the record has it. */
  readonly name: string | undefined;
  readonly sha256: Sha256;
  readonly file: string;
  readonly line: number;
}

export interface ChainReport {
  readonly chain: ChainId;
  /** Lines read. */
  readonly records: number;
  /** The record before the first that was read, where that is not the chain's first. */
  readonly since: { readonly kind: "known" | "pruned"; readonly seq: number } | undefined;
  readonly lastSeq: number;
  /** `closed` in order; `open`: in use, or its writer was killed; `unfinished`: it ends within a record. */
  readonly end: "closed" | "open" | "unfinished";
  readonly checkpoints: number;
  /** The last checkpoint whose signature was checked and holds; 0 without a key. */
  readonly signedUpTo: number;
  readonly attachments: readonly Attachment[];
  /** In the order of `seq`, the first of them first; a log in shreds has more than are listed. */
  readonly findings: readonly Finding[];
}
