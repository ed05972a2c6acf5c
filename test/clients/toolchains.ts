import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

const SOURCES = import.meta.dirname;
const CACHE =
  process.env["TWOKEY_CLIENTS_CACHE"] ??
  path.join(process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "twokey-clients");

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface Toolchain {
  readonly name: string;
  /** Where its clients are, when not in one of its name. */
  readonly folder?: string;
  /** Programs without which its clients are left out; each with arguments that succeed where all is there. */
  readonly needs: readonly (readonly [program: string, ...args: string[]])[];
  /** What decides whether the last installation still serves. */
  readonly manifests: readonly string[];
  /** Installs into the folder that holds a copy of the sources. */
  readonly install: readonly (readonly string[])[];
  /** Compiles that copy; run each time. */
  readonly build: readonly (readonly string[])[];
}

export const TOOLCHAINS = {
  node: {
    name: "node",
    needs: [["npm", "--version"]],
    manifests: ["package.json", "package-lock.json"],
    install: [["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]],
    // The engines that it would download are not needed for this.
    build: [
      [
        "env",
        "PRISMA_QUERY_ENGINE_LIBRARY=/bin/true",
        "PRISMA_SCHEMA_ENGINE_BINARY=/bin/true",
        "node_modules/.bin/prisma",
        "generate",
      ],
    ],
  },
  python: {
    name: "python",
    needs: [["python3", "-c", "import venv, ensurepip"]],
    manifests: ["requirements.txt"],
    install: [
      ["python3", "-m", "venv", "venv"],
      [
        "venv/bin/pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "-r",
        "requirements.txt",
      ],
    ],
    build: [],
  },
  java: {
    name: "java",
    needs: [
      ["java", "-version"],
      ["javac", "-version"],
      ["mvn", "--version"],
    ],
    manifests: ["pom.xml"],
    install: [["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"]],
    build: [
      [
        "javac",
        "-d",
        "classes",
        "-cp",
        "jars/*",
        "Pgjdbc.java",
        "FlywayTool.java",
        "LiquibaseTool.java",
        "Story.java",
      ],
    ],
  },
  go: {
    name: "go",
    needs: [["go", "version"]],
    manifests: ["go.mod", "go.sum"],
    install: [["go", "mod", "download"]],
    build: [["go", "build", "-o", "bin/", "./..."]],
  },
  rust: {
    name: "rust",
    needs: [
      ["cargo", "--version"],
      ["cc", "--version"],
    ],
    manifests: ["Cargo.toml", "Cargo.lock"],
    install: [["cargo", "fetch", "--locked", "--quiet"]],
    build: [["cargo", "build", "--locked", "--quiet"]],
  },
  postgresql: installedBySystem("postgresql", ["dropdb", "--version"], ["psql", "--version"]),
  perl: installedBySystem("perl", ["perl", "-MDBD::Pg", "-MJSON::PP", "-e", "1"]),
  ruby: installedBySystem("ruby", ["ruby", "-rpg", "-rjson", "-e", "1"]),
  rails: {
    ...installedBySystem("rails", ["ruby", "-ractive_record", "-rpg", "-e", "1"]),
    folder: "ruby",
  },
  php: installedBySystem("php", ["php", "-r", "exit(extension_loaded('pdo_pgsql') ? 0 : 1);"]),
} as const satisfies Readonly<Record<string, Toolchain>>;

export type ToolchainName = keyof typeof TOOLCHAINS;

function installedBySystem(name: string, ...needs: [string, ...string[]][]): Toolchain {
  return { name, needs, manifests: [], install: [], build: [] };
}

/** What keeps its clients from running here, or `undefined`. */
export async function missingFor(name: ToolchainName): Promise<string | undefined> {
  for (const need of TOOLCHAINS[name].needs) {
    const [program, ...args] = need;
    const { status } = await run(program, args);
    if (status !== 0) return `\`${need.join(" ")}\` fails`;
  }
  return undefined;
}

/**
 * Brings the folder of a language up to date, outside the tree.
 *
 * @returns where its clients run
 * @throws Error with the output of what failed
 */
export async function prepare(name: ToolchainName): Promise<string> {
  const toolchain: Toolchain = TOOLCHAINS[name];
  const sources = path.join(SOURCES, toolchain.folder ?? name);
  const folder = path.join(CACHE, toolchain.folder ?? name);
  mkdirSync(folder, { recursive: true });
  if (existsSync(sources)) cpSync(sources, folder, { recursive: true });
  const stamp = path.join(folder, ".installed");
  const wanted = createHash("sha256");
  for (const manifest of toolchain.manifests)
    wanted.update(readFileSync(path.join(sources, manifest)));
  const digest = wanted.digest("hex");
  const isInstalled = existsSync(stamp) && readFileSync(stamp, "utf8") === digest;
  if (!isInstalled) {
    for (const step of toolchain.install) await must(step, folder);
    writeFileSync(stamp, digest);
  }
  for (const step of toolchain.build) await must(step, folder);
  return folder;
}

async function must([program = "", ...args]: readonly string[], cwd: string): Promise<void> {
  const { status, out, err } = await run(program, args, { cwd, timeoutMs: 1_200_000 });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed: ${out}${err}`);
}

/** Runs a program to its end; whatever happens is in the result. Its input is empty unless given. */
export function run(
  program: string,
  args: readonly string[],
  {
    cwd,
    env = {},
    input = "",
    timeoutMs = 240_000,
  }: {
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly input?: string;
    readonly timeoutMs?: number;
  } = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    const inherited = { ...process.env };
    // vitest's own settings would have the tools behave as in its tests.
    for (const name of ["NODE_OPTIONS", "NODE_ENV", "VITEST"])
      Reflect.deleteProperty(inherited, name);
    const child = execFile(
      program.includes("/") && cwd !== undefined ? path.resolve(cwd, program) : program,
      args,
      {
        cwd,
        env: { ...inherited, LC_ALL: "C.UTF-8", NO_COLOR: "1", ...env },
        maxBuffer: 1e9,
        timeout: timeoutMs,
      },
      (error, out, err) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({
          status,
          out,
          err: error !== null && status === -1 ? `${err}${error.message}` : err,
        });
      },
    );
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
