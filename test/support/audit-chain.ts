import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { ChainWriter, FRAME_BYTES, NO_RECORD } from "../../src/audit/chain.ts";
import { keyFingerprint, signCheckpoint } from "../../src/audit/checkpoint.ts";
import {
  encodeFragment,
  parseChainId,
  parseSeq,
  type EventName,
  type Fields,
  type Seq,
} from "../../src/audit/record.ts";

/** A test's own key: it signs nothing else anywhere. */
export const SIGNING_KEY = ed25519(1);
export const OTHER_KEY = ed25519(2);
export const PUBLIC_KEY = createPublicKey(SIGNING_KEY);

export function seq(n: number): Seq {
  return parseSeq(n);
}

/** Makes chains in memory, one line a record, with fixed times. */
export class ChainInMemory {
  readonly lines: Buffer[] = [];
  readonly #writer: ChainWriter;
  readonly #key: KeyObject;

  constructor(chain = "9f86d081884c7d65", key = SIGNING_KEY) {
    this.#writer = new ChainWriter({ chain: parseChainId(chain), seq: 0, hash: NO_RECORD });
    this.#key = key;
  }

  add(event: EventName, fields: Fields): this {
    const fragment = encodeFragment(fields);
    const line = Buffer.alloc(FRAME_BYTES + fragment.length);
    const end = this.#writer.encode(line, 0, this.#time(), event, [fragment]);
    this.lines.push(line.subarray(0, end));
    return this;
  }

  checkpoint(nextWithin: number): this {
    const fragment = encodeFragment({ key: keyFingerprint(this.#key), next_within: nextWithin });
    const line = Buffer.alloc(FRAME_BYTES + fragment.length);
    const end = this.#writer.encodeSigned(
      line,
      0,
      this.#time(),
      "chain.checkpoint",
      fragment,
      (bytes) => signCheckpoint(bytes, this.#key),
    );
    this.lines.push(line.subarray(0, end));
    return this;
  }

  #time(): number {
    return Date.UTC(2026, 2, 14, 9, 26, 53) * 1000 + this.#writer.seq * 1001;
  }
}

function ed25519(seed: number): KeyObject {
  const pkcs8 = Buffer.concat([
    Buffer.from("302e020100300506032b657004220420", "hex"),
    Buffer.alloc(32, seed),
  ]);
  return createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
}
