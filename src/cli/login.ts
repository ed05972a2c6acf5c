import { Command } from "commander";
import { spawn } from "node:child_process";
import { z } from "zod";
import { openClient, withApiOptions, type ApiOptions } from "./api-options.ts";
import { CommandFailed } from "./command-failed.ts";
import { editFile } from "./edit-file.ts";
import { parseSeconds } from "./seconds.ts";
import type { Terminal } from "./terminal.ts";

interface LoginOptions extends ApiOptions {
  readonly for: number;
  readonly pgpass?: string;
  readonly host: string;
  readonly port: string;
  readonly revoke?: true;
}

const issuedSchema = z.object({
  id: z.string(),
  person: z.string(),
  password: z.string(),
  expires_at: z.string(),
});

type Issued = z.infer<typeof issuedSchema>;

/** `twokey login`: no password to choose, keep or leak, but one for as long as it is needed. */
export function loginCommand(terminal: Terminal): Command {
  return withApiOptions(new Command("login"))
    .description("Get a password for a while, by your SSH key, for programs that want one")
    .argument("[command...]", "run this with PGUSER and PGPASSWORD set, after --")
    .option("--for <duration>", "how long it is good: 30m, 8h", parseSeconds, 3600)
    .option("--pgpass <file>", "write it there, in the format of ~/.pgpass, instead of printing it")
    .option("--host <name>", "host in that file", "localhost")
    .option("--port <number>", "port in that file", "6543")
    .option("--revoke", "take back those that you have, and give none")
    .action((command: readonly string[], options: LoginOptions) =>
      logIn(command, options, terminal),
    );
}

async function logIn(
  command: readonly string[],
  options: LoginOptions,
  terminal: Terminal,
): Promise<void> {
  const { client } = await openClient(options, terminal);
  if (options.revoke === true) {
    const answer = z.object({ revoked: z.int() });
    const { revoked } = await client.call("DELETE", "/login/password", answer);
    terminal.print(options.json ? JSON.stringify({ revoked }) : `${revoked} taken back`);
    return;
  }
  const asked = { valid_seconds: options.for };
  const issued = await client.call("POST", "/login/password", issuedSchema, asked);
  if (command.length > 0) {
    await run(command, issued, terminal);
    return;
  }
  const until = `good for ${issued.person} until ${issued.expires_at}`;
  if (options.pgpass !== undefined) {
    writePgpass(options.pgpass, issued, options);
    terminal.print(
      options.json
        ? JSON.stringify({ file: options.pgpass, expires_at: issued.expires_at })
        : `${options.pgpass} has it, ${until}`,
    );
    return;
  }
  // Alone on its line, for PGPASSWORD="$(twokey login)".
  terminal.print(options.json ? JSON.stringify(issued) : issued.password);
  if (!options.json) terminal.note(until);
}

/** Nobody else sees the environment of one's own program, unlike its arguments. */
async function run(
  [program = "", ...args]: readonly string[],
  { person, password }: Issued,
  { env }: Terminal,
): Promise<void> {
  const child = spawn(program, args, {
    stdio: "inherit",
    env: { ...env, PGUSER: person, PGPASSWORD: password },
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause) => {
      reject(new CommandFailed(2, `${program} can't be run: ${cause.message}`, { cause }));
    });
    child.once("close", resolve);
  });
  if (status !== 0) {
    throw new CommandFailed(
      status === 1 ? 1 : 2,
      `${program} ended with status ${status ?? "none"}`,
    );
  }
}

/** One line for this host, port and person, in place of the one that was there. */
function writePgpass(
  file: string,
  { person, password }: Issued,
  { host, port }: { readonly host: string; readonly port: string },
): void {
  const escaped = [host, port, "*", person].map((field) => field.replace(/[\\:]/g, "\\$&"));
  const start = `${escaped.join(":")}:`;
  editFile(file, (text) => {
    const others = text.split("\n").filter((line) => line !== "" && !line.startsWith(start));
    return [`${start}${password}`, ...others, ""].join("\n");
  });
}
