import { createHash } from "node:crypto";
import { S3mini } from "s3mini";
import type { BackupStoreConfig } from "../config/backups.ts";
import { readSecret } from "../config/secret-source.ts";
import { BackupFailed, reasonOf } from "./backup-failed.ts";
import type { BackupStore } from "./backup-store.ts";

type S3Config = Extract<BackupStoreConfig, { kind: "s3" }>;
type Headers = Record<`x-amz-${string}`, string>;

const REQUEST_TIMEOUT_MS = 120_000;
const MAX_PARTS = 10_000;

/**
 * An S3-compatible object store. Longer content goes up in parts, of which one is in memory; S3 makes an object of them only
 * when all are there.
 */
export class S3Store implements BackupStore {
  readonly description: string;
  readonly #config: S3Config;

  constructor(config: S3Config) {
    this.#config = config;
    this.description = `bucket ${config.bucket} at ${new URL(config.endpoint).host}`;
  }

  async put(name: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    try {
      await this.#upload(this.#key(name), content, signal);
    } catch (cause) {
      throw this.#failed(`can't take ${name}`, cause);
    }
  }

  async *get(name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      const response = await this.#client(signal, { isLong: true }).getObjectResponse(
        this.#key(name),
      );
      if (response === null) throw new Error("it is not there");
      if (response.body === null) return;
      yield* response.body;
    } catch (cause) {
      throw this.#failed(`does not give ${name}`, cause);
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    try {
      const found = await this.#client().listObjects("/", this.#key(prefix));
      if (found === null) throw new Error("there is no such bucket");
      return found.map(({ Key }) => Key.slice(this.#config.prefix.length));
    } catch (cause) {
      throw this.#failed("can't be listed", cause);
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await this.#client().deleteObject(this.#key(name));
    } catch (cause) {
      throw this.#failed(`does not remove ${name}`, cause);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #upload(
    key: string,
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const s3 = this.#client(signal);
    let upload: string | undefined;
    const parts: { partNumber: number; etag: string }[] = [];
    try {
      for await (const { bytes, isLast } of inParts(content, this.#config.partBytes)) {
        signal.throwIfAborted();
        if (isLast && upload === undefined) {
          await s3.putObject(key, bytes, undefined, undefined, {
            ...this.#wishes(),
            "x-amz-checksum-sha256": createHash("sha256").update(bytes).digest("base64"),
          });
          return;
        }
        upload ??= await s3.getMultipartUploadId(key, undefined, undefined, this.#wishes());
        if (parts.length === MAX_PARTS) {
          throw new Error(`it is longer than ${MAX_PARTS} parts; a larger \`part\` is needed`);
        }
        const md5 = createHash("md5").update(bytes).digest("base64");
        // What a part is checked by; the library's type knows headers of Amazon's only.
        const headers = { "content-md5": md5 } as unknown as Headers;
        parts.push(
          await s3.uploadPart(key, upload, bytes, parts.length + 1, {}, undefined, headers),
        );
      }
      if (upload === undefined) throw new Error("there was nothing to store");
      signal.throwIfAborted();
      const done = await s3.completeMultipartUpload(key, upload, parts);
      // S3 may answer 200, and say in the body that it failed.
      if (typeof done.etag !== "string")
        throw new Error("the store did not put the parts together");
    } catch (error) {
      // A new signal: the one that ended the upload would end this, too. Parts that stay are for the bucket's life cycle.
      if (upload !== undefined) {
        await this.#client()
          .abortMultipartUpload(key, upload)
          .catch(() => undefined);
      }
      throw error;
    }
  }

  /** What the store is asked to do with an object. */
  #wishes(): Headers {
    const { encryption, lock } = this.#config;
    const until = new Date(Date.now() + (lock?.forMs ?? 0)).toISOString();
    return {
      ...(encryption !== "none" && { "x-amz-server-side-encryption": encryption }),
      ...(lock !== undefined && {
        "x-amz-object-lock-mode": lock.mode.toUpperCase(),
        "x-amz-object-lock-retain-until-date": until,
      }),
    };
  }

  #key(name: string): string {
    return `${this.#config.prefix}${name}`;
  }

  /** With the credentials as they are now. */
  #client(signal?: AbortSignal, { isLong = false }: { readonly isLong?: boolean } = {}): S3mini {
    const { endpoint, bucket, region, accessKey, secretKey } = this.#config;
    return new S3mini({
      accessKeyId: readSecret(accessKey).reveal(),
      secretAccessKey: readSecret(secretKey).reveal(),
      endpoint: `${endpoint}/${bucket}`,
      region,
      fetch: (input, init) => {
        const ends = [signal, isLong ? undefined : AbortSignal.timeout(REQUEST_TIMEOUT_MS)];
        const given = ends.filter((end) => end !== undefined);
        return fetch(input, { ...init, redirect: "error", signal: AbortSignal.any(given) });
      },
    });
  }

  #failed(what: string, cause: unknown): BackupFailed {
    if (cause instanceof BackupFailed) return cause;
    return new BackupFailed(`${this.description} ${what}: ${reasonOf(cause)}`, { cause });
  }
}

/** Pieces of exactly that size, but for the last. */
async function* inParts(
  content: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly isLast: boolean }> {
  let part = new Uint8Array(partBytes);
  let filled = 0;
  for await (const chunk of content) {
    let at = 0;
    while (at < chunk.length) {
      if (filled === partBytes) {
        yield { bytes: part, isLast: false };
        part = new Uint8Array(partBytes);
        filled = 0;
      }
      const taken = Math.min(partBytes - filled, chunk.length - at);
      part.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
    }
  }
  yield { bytes: part.slice(0, filled), isLast: true };
}
