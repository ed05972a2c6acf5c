import { Command, CommanderError } from "commander";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";
import { version } from "./version.ts";

interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly load: (terminal: Terminal) => Promise<Command>;
}

/** In the order of the help. A command's code is loaded when that command is called, and then only that. */
export const COMMANDS: readonly Entry[] = [
  {
    name: "start",
    summary: "run the proxy",
    load: async () => (await import("./start.ts")).startCommand(),
  },
  {
    name: "demo",
    summary: "try it: a real PostgreSQL, a shop to break, and what to type",
    load: async (terminal) => (await import("./demo/demo.ts")).demoCommand(terminal),
  },
  {
    name: "drill",
    summary: "replay the morning a database was dropped, and see what becomes of it",
    load: async (terminal) => (await import("./drill/drill.ts")).drillCommand(terminal),
  },
  {
    name: "check",
    summary: "list every mistake of a configuration",
    load: async (terminal) => (await import("./check.ts")).checkCommand(terminal),
  },
  {
    name: "explain",
    summary: "tell what a statement does, and what is decided about it",
    load: async (terminal) => (await import("./explain.ts")).explainCommand(terminal),
  },
  {
    name: "policy",
    summary: "test the rules, and see what a change of them would decide otherwise",
    load: async (terminal) => (await import("./policy/policy.ts")).policyCommand(terminal),
  },
  {
    name: "request",
    summary: "list, show, submit and cancel requests for a second person",
    load: async (terminal) => (await import("./request.ts")).requestCommand(terminal),
  },
  {
    name: "approve",
    summary: "sign for a request with your SSH key, so that its statement may run",
    load: async (terminal) => (await import("./approve.ts")).approveCommand(terminal),
  },
  {
    name: "reject",
    summary: "say no to a request",
    load: async (terminal) => (await import("./reject.ts")).rejectCommand(terminal),
  },
  {
    name: "login",
    summary: "get a password for a while, by your SSH key, for psql and its like",
    load: async (terminal) => (await import("./login.ts")).loginCommand(terminal),
  },
  {
    name: "sessions",
    summary: "list and terminate open sessions",
    load: async (terminal) => (await import("./sessions.ts")).sessionsCommand(terminal),
  },
  {
    name: "user",
    summary: "add, list, disable and enable people; their passwords and keys",
    load: async (terminal) => (await import("./user.ts")).userCommand(terminal),
  },
  {
    name: "audit",
    summary: "verify, search, follow and export the audit log",
    load: async (terminal) => (await import("./audit.ts")).auditCommand(terminal),
  },
  {
    name: "doctor",
    summary: "find the ways around Twokey, and what mends them",
    load: async (terminal) => (await import("./doctor.ts")).doctorCommand(terminal),
  },
  {
    name: "provision",
    summary: "make the database's own roles, each with least privilege",
    load: async (terminal) => (await import("./provision.ts")).provisionCommand(terminal),
  },
  {
    name: "rotate",
    summary: "give the roles that Twokey logs in as new passwords",
    load: async (terminal) => (await import("./rotate.ts")).rotateCommand(terminal),
  },
  {
    name: "backup",
    summary: "take, list, verify and restore backups",
    load: async (terminal) => (await import("./backup.ts")).backupCommand(terminal),
  },
  {
    name: "alerts",
    summary: "test that whoever should be told at once is",
    load: async (terminal) => (await import("./alerts.ts")).alertsCommand(terminal),
  },
  {
    name: "habits",
    summary: "see what was learned of people and workloads, and enforce it",
    load: async (terminal) => (await import("./habits.ts")).habitsCommand(terminal),
  },
  {
    name: "sql",
    summary: "run statements over a connection, where there is no psql",
    load: async (terminal) => (await import("./sql.ts")).sqlCommand(terminal),
  },
];

/**
 * Runs `twokey` with these arguments, without the two that Node puts before them.
 *
 * @returns 0 for yes, 1 for no, 2 for "could not tell", misuse included
 */
export async function runProgram(argv: readonly string[], terminal: Terminal): Promise<0 | 1 | 2> {
  const [first, second] = argv;
  const program = await createProgram(first === "help" ? second : first, terminal);
  try {
    await program.parseAsync(argv, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { colors } = terminal;
    terminal.note(`${colors.red("error:")} ${messageOf(error)}`);
    for (const name of ["detail", "hint"]) {
      const text = memberOf(error, name);
      if (text !== undefined) terminal.note(`${colors.dim(`${name}:`)} ${text}`);
    }
    return error instanceof CommandFailed ? error.exitStatus : 2;
  }
}

/** With the whole of the command that is called, and the names of the others. */
export async function createProgram(
  called: string | undefined,
  terminal: Terminal,
): Promise<Command> {
  const program = new Command("twokey")
    .description("The two-person rule for PostgreSQL")
    .version(version(), "-v, --version")
    .showHelpAfterError("(twokey --help, or twokey COMMAND --help, tells more)");
  for (const { name, summary, load } of COMMANDS) {
    const command = name === called ? await load(terminal) : new Command(name);
    program.addCommand(command.summary(summary));
  }
  forAll(program, (command) => {
    command.exitOverride().configureOutput({
      writeOut: (text) => {
        terminal.print(text.trimEnd());
      },
      writeErr: (text) => {
        terminal.note(text.trimEnd());
      },
    });
  });
  return program;
}

function forAll(command: Command, apply: (command: Command) => void): void {
  apply(command);
  for (const child of command.commands) forAll(child, apply);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `detail` or `hint`, which TwokeyError, CommandFailed and a server's error may have. */
function memberOf(error: unknown, name: string): string | undefined {
  const value: unknown = error instanceof Error ? Reflect.get(error, name) : undefined;
  return typeof value === "string" ? value : undefined;
}
