import pc from "picocolors";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../../src/cli/program.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { formatKeyFiles } from "../../src/approvals/ssh-private-key.ts";

/** Real ssh-keygen is what people have; where it is missing, its tests say so and are skipped. */
export const hasSshKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined;
if (!hasSshKeygen) process.stderr.write("no ssh-keygen here: its tests are skipped\n");

export interface Ran {
  readonly status: 0 | 1 | 2;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Typist {
  /** Sits at a terminal, and answers so. */
  readonly confirms?: boolean;
  readonly types?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A home directory with people's keys, from which commands are run as their user would. */
export class Home {
  readonly directory = mkdtempSync(join(tmpdir(), "twokey-cli-"));

  constructor() {
    mkdirSync(join(this.directory, ".ssh"), { mode: 0o700 });
  }

  /** The file of the key that `keyOf(person)` is, as ssh-keygen would have written it. */
  key(person: string): string {
    const file = join(this.directory, person);
    const { privateKeyFile, publicKeyFile } = formatKeyFiles(Buffer.alloc(32, person), person);
    writeFileSync(file, privateKeyFile, { mode: 0o600 });
    writeFileSync(`${file}.pub`, publicKeyFile);
    return file;
  }

  async run(argv: readonly string[], typist: Typist = {}): Promise<Ran> {
    const stdout: string[] = [];
    const stderr: string[] = [];
    const terminal = this.terminal(typist, { stdout, stderr });
    const status = await runProgram(argv, terminal);
    return { status, stdout: stdout.join(""), stderr: stderr.join("") };
  }

  terminal(
    { env, confirms, types }: Typist = {},
    { stdout, stderr }: { stdout: string[]; stderr: string[] } = { stdout: [], stderr: [] },
  ): Terminal {
    return {
      env: {
        PATH: process.env["PATH"],
        HOME: this.directory,
        XDG_STATE_HOME: join(this.directory, "state"),
        ...env,
      },
      isInteractive: confirms !== undefined || types !== undefined,
      colors: pc.createColors(false),
      print: (line) => void stdout.push(`${line}\n`),
      note: (line) => void stderr.push(`${line}\n`),
      confirm: () => Promise.resolve(confirms ?? false),
      ask: () => Promise.resolve(types),
      askSecret: () => Promise.resolve(types),
    };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
