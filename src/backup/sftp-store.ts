import { createHash, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { Client, SFTPWrapper } from "ssh2";
import ssh2 from "ssh2";
import type { BackupStoreConfig } from "../config/backups.ts";
import { readSecret } from "../config/secret-source.ts";
import { BackupFailed, reasonOf } from "./backup-failed.ts";
import type { BackupStore } from "./backup-store.ts";

type SftpConfig = Extract<BackupStoreConfig, { kind: "sftp" }>;

const PART = ".part";
const READY_TIMEOUT_MS = 20_000;
/** Writes under way at the same time: on a long line, one at a time would wait for each answer. */
const WINDOW = 32;
const WRITE_BYTES = 32 * 1024;

interface Link {
  readonly client: Client;
  readonly sftp: SFTPWrapper;
  /** Rejects when the connection is lost: it answers nothing any more, also not that. */
  readonly lost: Promise<never>;
}

/** A folder on another machine. Files go up as `.part`, are brought to disk where the server can, and are then renamed. */
export class SftpStore implements BackupStore {
  readonly description: string;
  readonly #config: SftpConfig;
  #link: Promise<Link> | undefined;

  constructor(config: SftpConfig) {
    this.#config = config;
    this.description = `sftp://${config.user}@${config.host}:${config.port}${config.directory}`;
  }

  async put(name: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const target = this.#at(name);
    const part = `${target}${PART}`;
    try {
      const link = await this.#connected();
      const { sftp, lost } = link;
      const folder = target.slice(0, target.lastIndexOf("/"));
      await Promise.race([makeFolder(sftp, folder, this.#config.directory), lost]);
      await this.#write(link, part, { content, signal });
      await Promise.race([rename(sftp, part, target), lost]);
    } catch (cause) {
      await this.#removeFile(part).catch(() => undefined);
      throw this.#failed(`can't take ${name}`, cause);
    }
  }

  async *get(name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      const { sftp, lost } = await this.#connected();
      const stream = sftp.createReadStream(this.#at(name), { highWaterMark: 1 << 20 });
      const stop = (): void => {
        stream.destroy(new Error("it was stopped"));
      };
      lost.catch((error: unknown) => stream.destroy(error as Error));
      signal.addEventListener("abort", stop);
      try {
        for await (const chunk of stream) yield chunk as Buffer;
      } finally {
        signal.removeEventListener("abort", stop);
      }
    } catch (cause) {
      throw this.#failed(`does not give ${name}`, cause);
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    try {
      const { sftp, lost } = await this.#connected();
      // All names are FOLDER/…; what is asked for is a whole folder.
      const folder = prefix.replace(/\/$/, "");
      return (await Promise.race([walk(sftp, this.#at(folder), { isRoot: true }), lost]))
        .filter((name) => !name.endsWith(PART))
        .map((name) => `${folder}/${name}`);
    } catch (cause) {
      throw this.#failed("can't be listed", cause);
    }
  }

  async remove(name: string): Promise<void> {
    try {
      const { sftp, lost } = await this.#connected();
      await this.#removeFile(this.#at(name));
      const folder = this.#at(name.slice(0, name.lastIndexOf("/")));
      const emptied = promisify(sftp.rmdir.bind(sftp))(folder).catch(() => undefined); // others are in it yet
      await Promise.race([emptied, lost]);
    } catch (cause) {
      throw this.#failed(`does not remove ${name}`, cause);
    }
  }

  async close(): Promise<void> {
    const link = await this.#link?.catch(() => undefined);
    this.#link = undefined;
    link?.client.end();
  }

  /** Many writes at a time, each at its place; the first failure ends it. */
  async #write(
    { sftp, lost }: Link,
    path: string,
    {
      content,
      signal,
    }: { readonly content: AsyncIterable<Uint8Array>; readonly signal: AbortSignal },
  ): Promise<void> {
    const open = promisify<string, string, { mode: number }, Buffer>(sftp.open.bind(sftp) as never);
    const handle = await Promise.race([open(path, "w", { mode: 0o600 }), lost]);
    const under = new Set<Promise<void>>();
    let failure: Error | undefined;
    let position = 0;
    try {
      for await (const chunk of content) {
        for (let at = 0; at < chunk.length; at += WRITE_BYTES) {
          signal.throwIfAborted();
          if (failure !== undefined) throw failure;
          const bytes = Buffer.from(chunk.subarray(at, at + WRITE_BYTES));
          const place = position;
          position += bytes.length;
          const write = new Promise<void>((resolve) => {
            sftp.write(handle, bytes, 0, bytes.length, place, (error) => {
              if (error) failure ??= error;
              resolve();
            });
          }).finally(() => under.delete(write));
          under.add(write);
          if (under.size >= WINDOW) await Promise.race([...under, lost]);
        }
      }
      await Promise.race([Promise.all(under), lost]);
      if (failure !== undefined) throw failure;
      signal.throwIfAborted();
      await Promise.race([sync(sftp, handle), lost]);
    } finally {
      await Promise.race([promisify(sftp.close.bind(sftp))(handle), lost]).catch(() => undefined);
    }
  }

  async #removeFile(path: string): Promise<void> {
    const { sftp, lost } = await this.#connected();
    const unlinked = promisify(sftp.unlink.bind(sftp))(path).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    await Promise.race([unlinked, lost]);
  }

  #connected(): Promise<Link> {
    this.#link ??= this.#connect();
    return this.#link;
  }

  async #connect(): Promise<Link> {
    const { host, port, user, key, hostKey } = this.#config;
    const client = new ssh2.Client();
    const wanted = Buffer.from(hostKey.slice("SHA256:".length), "base64");
    let shown = "";
    try {
      const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
        client.once("ready", () => {
          client.sftp((error, opened) => {
            if (error) reject(error);
            else resolve(opened);
          });
        });
        client.on("error", reject);
        client.once("close", () => {
          this.#link = undefined;
          reject(new Error("the connection was closed"));
        });
        client.connect({
          host,
          port,
          username: user,
          privateKey: readSecret(key).reveal(),
          readyTimeout: READY_TIMEOUT_MS,
          keepaliveInterval: 15_000,
          keepaliveCountMax: 4,
          hostVerifier: (its: Buffer) => {
            const digest = createHash("sha256").update(its).digest();
            shown = `SHA256:${digest.toString("base64").replace(/=+$/, "")}`;
            return digest.length === wanted.length && timingSafeEqual(digest, wanted);
          },
        });
      });
      // Without it, every answer waits for Nagle's timer.
      client.setNoDelay(true);
      const lost = new Promise<never>((_resolve, reject) => {
        client.once("close", () => {
          reject(new Error("the connection was lost"));
        });
      });
      lost.catch(() => undefined); // where nobody waits, nobody has to know
      return { client, sftp, lost };
    } catch (cause) {
      this.#link = undefined;
      client.end();
      const isOther = shown !== "" && !hostKey.startsWith(shown);
      if (!isOther) throw cause;
      throw new BackupFailed(
        `${host} shows the host key ${shown}, which is not the configured one`,
        {
          hint: "somebody may be in between; if the server's key has changed, change host_key",
          cause,
        },
      );
    }
  }

  #at(name: string): string {
    return `${this.#config.directory}/${name}`;
  }

  #failed(what: string, cause: unknown): BackupFailed {
    if (cause instanceof BackupFailed) return cause;
    return new BackupFailed(`${this.description} ${what}: ${reasonOf(cause)}`, { cause });
  }
}

/** The folder below the root, with those in between; the root itself is never made. */
async function makeFolder(sftp: SFTPWrapper, folder: string, root: string): Promise<void> {
  const mkdir = promisify<string, { mode: number }, unknown>(sftp.mkdir.bind(sftp) as never);
  const stat = promisify(sftp.stat.bind(sftp));
  await stat(root);
  let path = root;
  for (const step of folder.slice(root.length).split("/").filter(Boolean)) {
    path += `/${step}`;
    await mkdir(path, { mode: 0o700 }).catch(async (error: unknown) => {
      if (!(await stat(path)).isDirectory()) throw error;
    });
  }
}

/** Over an older file, in one step, as the plain protocol's rename does not. */
async function rename(sftp: SFTPWrapper, from: string, to: string): Promise<void> {
  try {
    await promisify(sftp.ext_openssh_rename.bind(sftp))(from, to);
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    await promisify(sftp.unlink.bind(sftp))(to).catch(() => undefined);
    await promisify(sftp.rename.bind(sftp))(from, to);
  }
}

async function sync(sftp: SFTPWrapper, handle: Buffer): Promise<void> {
  try {
    await promisify(sftp.ext_openssh_fsync.bind(sftp))(handle);
  } catch (error) {
    if (!isUnsupported(error)) throw error;
  }
}

async function walk(
  sftp: SFTPWrapper,
  folder: string,
  { isRoot }: { readonly isRoot: boolean },
): Promise<string[]> {
  const entries = await promisify(sftp.readdir.bind(sftp))(folder).catch((error: unknown) => {
    if (isRoot && isMissing(error)) return [];
    throw error;
  });
  const names: string[] = [];
  for (const { filename, attrs } of entries) {
    if (attrs.isDirectory()) {
      const inside = await walk(sftp, `${folder}/${filename}`, { isRoot: false });
      names.push(...inside.map((name) => `${filename}/${name}`));
    } else names.push(filename);
  }
  return names;
}

/** SSH_FX_NO_SUCH_FILE. */
function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === 2;
}

/** SSH_FX_OP_UNSUPPORTED, or ssh2's own word for an extension that the server doesn't name. */
function isUnsupported(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && error.code === 8) || /does not support/i.test(error.message);
}
