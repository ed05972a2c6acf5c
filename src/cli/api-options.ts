import { Option, type Command } from "commander";
import { userInfo } from "node:os";
import { ApiClient } from "./client.ts";
import { signWithSshKey } from "./sign.ts";
import type { Terminal } from "./terminal.ts";
import { TokenCache } from "./token-cache.ts";

/** What every command that talks to a running Twokey takes. */
export interface ApiOptions {
  readonly config?: string;
  readonly url?: string;
  readonly as?: string;
  readonly key?: string;
  readonly json?: true;
}

const DEFAULT_URL = "http://127.0.0.1:9188";

export function withApiOptions(command: Command): Command {
  const options = [
    new Option("--url <url>", `where Twokey's admin port is (default: ${DEFAULT_URL})`).env(
      "TWOKEY_URL",
    ),
    new Option("--config <file>", "take it from this configuration, if there is no --url"),
    new Option("--as <person>", "your name there (default: your login name)").env("TWOKEY_AS"),
    new Option(
      "--key <file>",
      "your SSH key, or the .pub of one that an agent holds (default: as ssh finds it)",
    ).env("TWOKEY_KEY"),
  ];
  command.option("--json", "print facts as JSON");
  for (const option of options) command.addOption(option.helpGroup("Where, and who you are:"));
  return command;
}

/** The API as the person who the options say calls. */
export async function openClient(
  options: ApiOptions,
  terminal: Terminal,
): Promise<{ readonly client: ApiClient; readonly person: string; readonly sign: Signer }> {
  const person = options.as ?? userInfo().username;
  const sign: Signer = (message, namespace) =>
    signWithSshKey(message, { namespace, keyFile: options.key, env: terminal.env });
  const tokens = new TokenCache(terminal.env, Date.now);
  const url = options.url ?? (await urlFromConfig(options.config)) ?? DEFAULT_URL;
  return { client: new ApiClient({ url, person, sign, tokens }), person, sign };
}

export type Signer = (message: string, namespace: string) => Promise<string>;

async function urlFromConfig(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  // Only who names a configuration waits for its schema to load.
  const { loadConfig } = await import("../config/load.ts");
  const { host, port, publicUrl, tls } = loadConfig(file, { surroundings: "skip" }).admin;
  // A certificate is for a name.
  if (tls !== undefined && publicUrl !== undefined) return publicUrl;
  const scheme = tls === undefined ? "http" : "https";
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `${scheme}://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}
