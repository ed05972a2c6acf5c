/**
 * Checkpoints: records that the proxy signs. The chain shows every edit that does not recompute all hashes after it; a
 * checkpoint shows that one too, since its signature covers `prev`, and by that everything before it.
 *
 *   {"seq":N,"time":"T","chain":"C","prev":"P","event":"chain.checkpoint","key":"K","next_within":W,"signature":"S","hash":"H"}
 *
 * `signature` is Ed25519 (RFC 8032), base64, over the line's bytes from `{` up to, not including, `,"signature":"`.
 * `key` is the SHA-256 of the public key's DER (SubjectPublicKeyInfo). The signature also promises the next checkpoint:
 * its `seq` is at most N + W. So whoever cuts checkpoints out of a rewritten log can rewrite W records, not more.
 *
 * With the bytes in M, the signature in S and the key in K.pem:
 *
 *   $ openssl pkeyutl -verify -pubin -inkey K.pem -rawin -in M -sigfile S
 *
 * An anchor is a copy of a checkpoint's line kept elsewhere. A log that ends before one of its anchors was truncated.
 */
import { createPublicKey, hash, sign, verify, type KeyObject } from "node:crypto";
import type { Sha256 } from "../base/digest.ts";
import { parseRecord, type ChainId, type Seq } from "./record.ts";

/** Records that a writer may put between the promised distance and a checkpoint when it starts again. */
export const RESTART_RECORDS = 4;

export interface Checkpoint {
  readonly chain: ChainId;
  readonly seq: Seq;
  readonly hash: Sha256;
  readonly key: string;
  readonly nextWithin: number;
  readonly signature: Buffer;
  /** What the signature is over. */
  readonly signed: Uint8Array;
}

/** SHA-256 of the key's SubjectPublicKeyInfo: what a checkpoint names its key by. Takes either half of the pair. */
export function keyFingerprint(key: KeyObject): Sha256 {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return hash("sha256", publicKey.export({ type: "spki", format: "der" })) as Sha256;
}

/** @returns the signature as it stands in the record */
export function signCheckpoint(bytes: Uint8Array, privateKey: KeyObject): string {
  return sign(null, bytes, privateKey).toString("base64");
}

/**
 * Reads a checkpoint's line, without its line feed.
 *
 * @throws Error for what is no checkpoint
 */
export function parseCheckpoint(line: Buffer): Checkpoint {
  const { event, fields, chain, seq, hash: recordHash } = parseRecord(line);
  const { key, signature } = fields;
  const nextWithin = fields["next_within"];
  const signedBytes = line.lastIndexOf(SIGNATURE_MEMBER);
  if (
    event !== "chain.checkpoint" ||
    typeof key !== "string" ||
    typeof signature !== "string" ||
    typeof nextWithin !== "number" ||
    signedBytes === -1
  ) {
    throw new Error("not a checkpoint");
  }
  return {
    chain,
    seq,
    hash: recordHash,
    key,
    nextWithin,
    signature: Buffer.from(signature, "base64"),
    signed: line.subarray(0, signedBytes),
  };
}

export function isSignedBy(checkpoint: Checkpoint, publicKey: KeyObject): boolean {
  return (
    checkpoint.key === keyFingerprint(publicKey) &&
    verify(null, checkpoint.signed, publicKey, checkpoint.signature)
  );
}

const SIGNATURE_MEMBER = Buffer.from(`,"signature":"`);
