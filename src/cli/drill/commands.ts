import { join } from "node:path";
import pc from "picocolors";
import { approveCommand } from "../approve.ts";
import { auditCommand } from "../audit.ts";
import { CommandFailed } from "../command-failed.ts";
import type { Person } from "../demo/people.ts";
import type { Stage } from "../demo/stage.ts";
import type { Terminal } from "../terminal.ts";

/** What one of our own commands answered. */
export interface Answer {
  readonly status: 0 | 1 | 2;
  /** Standard output, and if it failed, why. */
  readonly text: string;
}

export function approve(
  { directory, adminUrl }: Stage,
  { person, request, env }: { person: Person; request: string; env: NodeJS.ProcessEnv },
): Promise<Answer> {
  const who = ["--as", person.name, "--key", person.keyFile, "--url", adminUrl];
  // Its sign-in is kept with the stage, not in this user's home.
  const home = { ...env, XDG_STATE_HOME: join(directory, "state") };
  return answerOf((terminal) => approveCommand(terminal), [request, "--yes", ...who], home);
}

export function audit(args: readonly string[]): Promise<Answer> {
  return answerOf((terminal) => auditCommand(terminal), args, {});
}

async function answerOf(
  command: (terminal: Terminal) => ReturnType<typeof approveCommand>,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Answer> {
  const lines: string[] = [];
  const terminal: Terminal = {
    env,
    isInteractive: false,
    colors: pc.createColors(false),
    print: (line) => lines.push(line),
    note: () => undefined,
    confirm: () => Promise.resolve(false),
    ask: () => Promise.resolve(undefined),
    askSecret: () => Promise.resolve(undefined),
  };
  try {
    await command(terminal).exitOverride().parseAsync(args, { from: "user" });
    return { status: 0, text: lines.join("\n") };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return { status: error.exitStatus, text: [...lines, error.message].join("\n") };
  }
}
