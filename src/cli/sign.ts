import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parsePrivateKey } from "../approvals/ssh-private-key.ts";
import { signSshsig, verifySshsig } from "../approvals/sshsig.ts";
import { CommandFailed } from "./command-failed.ts";

/** Long enough to find the hardware key in the other jacket. */
const SIGN_TIMEOUT_MS = 5 * 60 * 1000;

/** The order in which OpenSSH itself would try them, hardware first. */
const DEFAULT_KEYS = ["id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa", "id_rsa"];

export interface SignOptions {
  readonly namespace: string;
  /** A private key's file, or the public one of a key that an agent holds. */
  readonly keyFile: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Signs with the person's own SSH key as `ssh-keygen -Y sign` does: from a file, an agent or a FIDO2 key, which asks
 * for passphrase, PIN or touch by itself. Without ssh-keygen, an unencrypted Ed25519 file is still good.
 *
 * @returns an armored SSHSIG, checked to fit `message`
 * @throws CommandFailed (2) if there is no key, or it didn't sign
 */
export async function signWithSshKey(message: string, options: SignOptions): Promise<string> {
  const signature = await withKeyFile(options, (keyFile) => signWith(keyFile, message, options));
  const { namespace } = options;
  if (verifySshsig(signature, { message, namespace }).kind !== "valid") {
    throw new CommandFailed(
      2,
      "ssh-keygen gave a signature that does not fit what was to be signed",
    );
  }
  return signature;
}

async function withKeyFile(
  { keyFile, env }: SignOptions,
  use: (keyFile: string) => Promise<string>,
): Promise<string> {
  const found = keyFile ?? defaultKeyFile(env);
  if (found !== undefined) return use(found);
  const publicKey = await firstKeyOfAgent(env);
  if (publicKey === undefined) {
    throw new CommandFailed(2, "no SSH key found", {
      hint: "name one with --key FILE, or make one: ssh-keygen -t ed25519",
    });
  }
  const directory = mkdtempSync(join(tmpdir(), "twokey-"));
  try {
    const file = join(directory, "key.pub");
    writeFileSync(file, `${publicKey}\n`);
    return await use(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function defaultKeyFile(env: NodeJS.ProcessEnv): string | undefined {
  const directory = join(env["HOME"] ?? homedir(), ".ssh");
  const names = [...DEFAULT_KEYS, ...DEFAULT_KEYS.map((name) => `${name}.pub`)];
  return names.map((name) => join(directory, name)).find((file) => existsSync(file));
}

async function firstKeyOfAgent(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (env["SSH_AUTH_SOCK"] === undefined) return undefined;
  const listed = await run("ssh-add", ["-L"], { env, input: "", stderr: "ignore" });
  return listed.kind === "exited" && listed.status === 0 ? listed.output.split("\n")[0] : undefined;
}

async function signWith(
  keyFile: string,
  message: string,
  { namespace, env }: SignOptions,
): Promise<string> {
  // Whatever ssh-keygen has to say (touch the key, no such file) it says to the person itself.
  const args = ["-q", "-Y", "sign", "-n", namespace, "-f", keyFile];
  const signed = await run("ssh-keygen", args, { env, input: message, stderr: "inherit" });
  if (signed.kind === "not_found") return signByOurselves(keyFile, message, namespace);
  if (signed.status !== 0) {
    throw new CommandFailed(2, `ssh-keygen did not sign with ${keyFile}`, {
      hint: "is it the right --key, and if it is a .pub file, does an agent hold the key (ssh-add -L)?",
    });
  }
  return signed.output;
}

function signByOurselves(keyFile: string, message: string, namespace: string): string {
  try {
    const pair = parsePrivateKey(readFileSync(keyFile.replace(/\.pub$/, ""), "utf8"));
    return signSshsig(pair, { message, namespace });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "unknown error";
    throw new CommandFailed(
      2,
      `there is no ssh-keygen here, and ${keyFile} can't be used without it: ${why}`,
      {
        hint: "install OpenSSH's client",
        cause,
      },
    );
  }
}

type Ran =
  | { readonly kind: "exited"; readonly status: number | null; readonly output: string }
  | { readonly kind: "not_found" };

function run(
  program: string,
  args: readonly string[],
  { env, input, stderr }: { env: NodeJS.ProcessEnv; input: string; stderr: "inherit" | "ignore" },
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const stdio: ["pipe", "pipe", "inherit" | "ignore"] = ["pipe", "pipe", stderr];
    // Not spawn's own `timeout`, which keeps the process alive when the program was not found.
    const signal = AbortSignal.timeout(SIGN_TIMEOUT_MS);
    const child = spawn(program, args, { env, stdio, signal });
    const output: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    // A program that ends without reading all is told by its status, not by the broken pipe.
    child.stdin.on("error", () => undefined);
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve({ kind: "not_found" });
      else reject(error);
    });
    child.on("close", (status) => {
      resolve({ kind: "exited", status, output: Buffer.concat(output).toString("utf8") });
    });
    child.stdin.end(input);
  });
}
