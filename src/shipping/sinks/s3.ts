import { createHash } from "node:crypto";
import { S3mini } from "s3mini";
import type { Secret } from "../../base/secret.ts";
import type { Send } from "../shipment.ts";

export interface S3Options {
  /** With the bucket: `https://s3.eu-central-1.amazonaws.com/my-bucket`. */
  readonly endpoint: string;
  readonly region: string;
  /** What keys begin with; ends in `/` or is empty. */
  readonly prefix: string;
  readonly accessKeyId: () => Secret;
  readonly secretAccessKey: () => Secret;
  /** Object Lock: until then nobody removes or replaces an object, with `compliance` not even the account's owner. */
  readonly lock: { readonly mode: "compliance" | "governance"; readonly forMs: number } | undefined;
  readonly now: () => number;
}

/** Objects of whole lines, `<prefix><chain>/<first seq>-<last seq>.jsonl`: what is sent again lands on the same key. */
export function s3Sink(options: S3Options): Send {
  return async ({ chain, lines }, signal) => {
    const { endpoint, region, prefix, accessKeyId, secretAccessKey, lock, now } = options;
    const client = new S3mini({
      endpoint,
      region,
      accessKeyId: accessKeyId().reveal(),
      secretAccessKey: secretAccessKey().reveal(),
      fetch: (url, init) => fetch(url, { ...init, signal, redirect: "manual" }),
    });
    const body = Buffer.concat(lines.map(({ line }) => line));
    const [first, last] = [lines[0]?.seq ?? 0, lines.at(-1)?.seq ?? 0];
    const key = `${prefix}${chain}/${padded(first)}-${padded(last)}.jsonl`;
    const headers = {
      "x-amz-checksum-sha256": createHash("sha256").update(body).digest("base64"),
      ...(lock !== undefined && {
        "x-amz-object-lock-mode": lock.mode.toUpperCase(),
        "x-amz-object-lock-retain-until-date": new Date(now() + lock.forMs).toISOString(),
      }),
    };
    const response = await client.putObject(key, body, "application/x-ndjson", undefined, headers);
    if (!response.ok) throw new Error(`answered ${response.status} to the object ${key}`);
  };
}

function padded(seq: number): string {
  return String(seq).padStart(12, "0");
}
