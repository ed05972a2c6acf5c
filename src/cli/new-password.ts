import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { formatVerifier, makeVerifier } from "../auth/verifier.ts";
import { Secret } from "../base/secret.ts";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";

const MIN_CHARACTERS = 8;

/** Where a new password comes from. */
export interface PasswordSource {
  /** `-` is standard input. */
  readonly file: string | undefined;
  readonly terminal: Terminal;
  readonly stdin: Readable;
}

/** Takes in a new password, and gives the verifier that is kept in its place. */
export async function verifierOfNewPassword(source: PasswordSource): Promise<string> {
  const password = await readPassword(source);
  if (password.reveal().length < MIN_CHARACTERS) {
    throw new CommandFailed(1, `a password has at least ${MIN_CHARACTERS} characters`);
  }
  return formatVerifier(await makeVerifier(password));
}

async function readPassword({ file, terminal, stdin }: PasswordSource): Promise<Secret> {
  if (file !== undefined && file !== "-") return firstLine(readFileSync(file, "utf8"));
  if (file === "-" || !terminal.isInteractive) return firstLine(await text(stdin));
  const first = await terminal.askSecret("Password");
  const second = await terminal.askSecret("The same again");
  if (first === undefined || second === undefined) throw new CommandFailed(1, "no password given");
  if (first !== second) throw new CommandFailed(1, "these are two different passwords");
  return new Secret(first);
}

/** What stands behind a line end is more likely a mistake than meant. */
function firstLine(given: string): Secret {
  const line = given.replace(/\r?\n$/, "");
  if (/[\r\n]/.test(line)) throw new CommandFailed(2, "a password is one line, but more was given");
  return new Secret(line);
}
