import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const CACHE = "node_modules/.cache/postgresql-source";
/** Where a Debian says what it gets its packages from, in apt's two ways of writing it down. */
const SOURCES = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];

/**
 * The files of PostgreSQL 15's source that match a pattern of tar's, below a folder of the cache that is named after
 * the use: Debian's package, from where the machine gets its others, by apt with an index of its own, so that the machine's
 * lists stay as they are.
 */
export function fetchPostgresqlSource(use: string, pattern: string): string {
  const unpacked = join(CACHE, use);
  if (existsSync(unpacked)) return unpacked;
  for (const folder of ["lists/partial", "cache/archives/partial", "sources", use]) {
    mkdirSync(join(CACHE, folder), { recursive: true });
  }
  const base = join(process.cwd(), CACHE);
  for (const file of SOURCES.filter((name) => existsSync(name))) {
    const sources = readFileSync(file, "utf8")
      .replaceAll(/^Types:.*$/gm, "Types: deb-src")
      .replaceAll(/^deb /gm, "deb-src ");
    writeFileSync(join(base, "sources", basename(file)), sources);
  }
  const options = [
    "Dir::Etc::SourceList=/dev/null",
    `Dir::Etc::SourceParts=${base}/sources`,
    `Dir::State::Lists=${base}/lists`,
    `Dir::Cache=${base}/cache`,
  ].flatMap((option) => ["-o", option]);
  const run = (command: string, args: readonly string[]): void => {
    execFileSync(command, args, { cwd: base, stdio: ["ignore", "ignore", "inherit"] });
  };
  const isArchive = (name: string): boolean => name.endsWith(".orig.tar.bz2");
  if (!readdirSync(base).some(isArchive)) {
    run("apt-get", [...options, "update"]);
    // The release's own: archives of security updates may keep no sources.
    const release = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
    const source = `postgresql-15/${release ?? "bookworm"}`;
    run("apt-get", [...options, "source", "--download-only", source]);
  }
  const archive = readdirSync(base).find(isArchive);
  if (archive === undefined) throw new Error(`no source archive in ${base}`);
  run("tar", ["xjf", archive, "-C", use, "--wildcards", "--strip-components=1", pattern]);
  return unpacked;
}
