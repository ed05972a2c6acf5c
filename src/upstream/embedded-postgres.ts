import { execFile } from "node:child_process";
import { chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";
import {
  findBinaries,
  unprivilegedAccount,
  type Account,
  type Binaries,
} from "./embedded-binaries.ts";
import { ENVIRONMENT, ServerProcess } from "./server-process.ts";

const run = promisify(execFile);

const HOST = "127.0.0.1";
const FREE_PORT_ATTEMPTS = 4;

export interface EmbeddedPostgresOptions {
  readonly superuser: string;
  readonly password: Secret;
  /** Kept, and used again when it holds a cluster already. Without it the data goes when the server stops. */
  readonly dataDir?: string | undefined;
  /** A free one is chosen when it is left out. */
  readonly port?: number | undefined;
  /** Server settings by name, over our own. They must leave the server's log on stderr. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Lines in front of `pg_hba.conf`, written when the cluster is made. */
  readonly hba?: readonly string[] | undefined;
  /** PEM texts; turns TLS on. */
  readonly tls?: { readonly certificate: string; readonly key: Secret } | undefined;
  /** The folder of another PostgreSQL's programs, in place of the npm package's. */
  readonly binDir?: string | undefined;
  readonly startTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A running PostgreSQL of our own. It ends with `stop`, or by itself when this process ends in any way. */
export class EmbeddedPostgres {
  readonly host = HOST;
  readonly port: number;
  /** The folder of its Unix socket; only the account it runs as (and root) can enter. */
  readonly socketDir: string;
  readonly dataDir: string;
  readonly version: string;
  readonly #server: ServerProcess;
  readonly #place: Place;
  #stopped: Promise<void> | undefined;

  constructor(
    place: Place,
    { port, version }: { port: number; version: string },
    server: ServerProcess,
  ) {
    this.port = port;
    this.version = version;
    this.socketDir = place.socketDir;
    this.dataDir = place.dataDir;
    this.#place = place;
    this.#server = server;
  }

  /** Fast shutdown (sessions are rolled back and closed); an immediate one when that takes too long. */
  stop({ timeoutMs = 15_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#server.stop(timeoutMs).finally(() => removePlace(this.#place));
    return this.#stopped;
  }
}

/**
 * Starts a real PostgreSQL on 127.0.0.1 and a Unix socket, with SCRAM for everyone. Also works as root.
 *
 * @throws UpstreamUnavailable with the end of the server's log as `detail`
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const account = await unprivilegedAccount();
  const place = await makePlace(options.dataDir, account);
  try {
    const binaries = await findBinaries({
      binDir: options.binDir,
      privateDir: place.baseDir,
      account,
    });
    if (!(await holdsCluster(place.dataDir))) await makeCluster(binaries, place, options);
    return await startServer(binaries, place, options);
  } catch (error) {
    await removePlace(place);
    throw error;
  }
}

/** Where one server lives: its own 0700 folder under the system's temporary one, and the data inside or elsewhere. */
interface Place {
  readonly baseDir: string;
  readonly socketDir: string;
  readonly dataDir: string;
  readonly isDataKept: boolean;
  readonly account: Account | undefined;
}

async function makePlace(
  dataDir: string | undefined,
  account: Account | undefined,
): Promise<Place> {
  const baseDir = await mkdtemp(join(tmpdir(), "twokey-postgres-"));
  const place = {
    baseDir,
    socketDir: join(baseDir, "socket"),
    dataDir: dataDir ?? join(baseDir, "data"),
    isDataKept: dataDir !== undefined,
    account,
  };
  for (const folder of [place.socketDir, place.dataDir]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  for (const folder of [baseDir, place.socketDir, place.dataDir]) await giveTo(account, folder);
  return place;
}

async function removePlace(place: Place): Promise<void> {
  await rm(place.baseDir, { recursive: true, force: true, maxRetries: 3 });
}

async function giveTo(account: Account | undefined, path: string): Promise<void> {
  if (account !== undefined) await chown(path, account.uid, account.gid);
}

async function holdsCluster(dataDir: string): Promise<boolean> {
  return stat(join(dataDir, "PG_VERSION")).then(
    () => true,
    () => false,
  );
}

async function makeCluster(
  { initdb }: Binaries,
  place: Place,
  { superuser, password, hba, signal }: EmbeddedPostgresOptions,
): Promise<void> {
  const passwordFile = join(place.baseDir, "password");
  await writeFile(passwordFile, `${password.reveal()}\n`, { mode: 0o600 });
  await giveTo(place.account, passwordFile);
  const args = ["-D", place.dataDir, "-U", superuser, `--pwfile=${passwordFile}`];
  args.push("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C");
  if (!place.isDataKept) args.push("--no-sync");
  try {
    await run(initdb, args, { cwd: place.baseDir, env: ENVIRONMENT, signal, ...place.account });
  } catch (cause) {
    const output = cause instanceof Error && "stderr" in cause ? String(cause.stderr) : "";
    throw cannotStart("initdb failed", output, cause);
  } finally {
    await rm(passwordFile, { force: true });
  }
  if (hba === undefined) return;
  const hbaFile = join(place.dataDir, "pg_hba.conf");
  await writeFile(hbaFile, [...hba, await readFile(hbaFile, "utf8")].join("\n"));
}

async function startServer(
  binaries: Binaries,
  place: Place,
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const settings = await serverSettings(place, options);
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const server = new ServerProcess({
      postgres: binaries.postgres,
      dataDir: place.dataDir,
      settings: { ...settings, port: String(port) },
      baseDir: place.baseDir,
      account: place.account,
    });
    try {
      await server.untilReady(options.startTimeoutMs ?? 60_000, options.signal);
      return new EmbeddedPostgres(place, { port, version: binaries.version }, server);
    } catch (cause) {
      await server.stop(0);
      const log = server.logTail;
      const isPortTaken = log.includes("Address already in use");
      // Between finding a free port and the server's taking it, someone else may have.
      if (isPortTaken && options.port === undefined && attempt < FREE_PORT_ATTEMPTS) continue;
      if (isPortTaken) throw cannotStart(`port ${port} is already in use`, log, cause);
      throw cannotStart(cause instanceof Error ? cause.message : "can't start", log, cause);
    }
  }
}

async function serverSettings(
  place: Place,
  { tls, settings }: EmbeddedPostgresOptions,
): Promise<Record<string, string>> {
  const own: Record<string, string> = {
    listen_addresses: HOST,
    unix_socket_directories: `"${place.socketDir}"`,
    lc_messages: "C",
  };
  // What is thrown away needn't survive a power cut.
  if (!place.isDataKept) own["fsync"] = "off";
  if (tls !== undefined) {
    own["ssl"] = "on";
    own["ssl_cert_file"] = await placeFile(place, "server.crt", tls.certificate);
    own["ssl_key_file"] = await placeFile(place, "server.key", tls.key.reveal());
  }
  return { ...own, ...settings };
}

async function placeFile(place: Place, name: string, text: string): Promise<string> {
  const path = join(place.baseDir, name);
  await writeFile(path, text, { mode: 0o600 });
  await giveTo(place.account, path);
  return path;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  return new Promise((resolve, reject) => {
    probe.once("error", reject);
    probe.listen(0, HOST, () => {
      const address = probe.address();
      const port = typeof address === "object" ? (address?.port ?? 0) : 0;
      probe.close(() => {
        resolve(port);
      });
    });
  });
}

function cannotStart(reason: string, log: string, cause: unknown): UpstreamUnavailable {
  return new UpstreamUnavailable(SQLSTATE.cannotConnect, `embedded PostgreSQL: ${reason}`, {
    cause,
    detail: log.trim() || undefined,
  });
}
