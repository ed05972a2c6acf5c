import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const CACHE = "node_modules/.cache/postgresql-source";
const DEB_SRC = "deb-src http://deb.debian.org/debian bookworm main\n";

/**
 * The files of PostgreSQL 15's source that match a pattern of tar's, below a folder of the cache that is named after
 * the use: Debian's package, by apt with an index of its own, so that the machine's list of sources stays as it is.
 */
export function fetchPostgresqlSource(use: string, pattern: string): string {
  const unpacked = join(CACHE, use);
  if (existsSync(unpacked)) return unpacked;
  for (const folder of ["lists/partial", "cache/archives/partial", use]) {
    mkdirSync(join(CACHE, folder), { recursive: true });
  }
  const base = join(process.cwd(), CACHE);
  writeFileSync(join(base, "sources.list"), DEB_SRC);
  const options = [
    `Dir::Etc::SourceList=${base}/sources.list`,
    "Dir::Etc::SourceParts=/dev/null",
    `Dir::State::Lists=${base}/lists`,
    `Dir::Cache=${base}/cache`,
  ].flatMap((option) => ["-o", option]);
  const run = (command: string, args: readonly string[]): void => {
    execFileSync(command, args, { cwd: base, stdio: ["ignore", "ignore", "inherit"] });
  };
  const isArchive = (name: string): boolean => name.endsWith(".orig.tar.bz2");
  if (!readdirSync(base).some(isArchive)) {
    run("apt-get", [...options, "update"]);
    run("apt-get", [...options, "source", "--download-only", "postgresql-15"]);
  }
  const archive = readdirSync(base).find(isArchive);
  if (archive === undefined) throw new Error(`no source archive in ${base}`);
  run("tar", ["xjf", archive, "-C", use, "--wildcards", "--strip-components=1", pattern]);
  return unpacked;
}
