import { readFile, stat } from "node:fs/promises";
import { SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";

/** Where an upstream's password lies. Never in the configuration itself. */
export type CredentialSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "environment"; readonly variable: string };

const MAX_FILE_BYTES = 64 * 1024;

/**
 * Reads the password as it is now: called for each new connection, so that a rotated one is taken up at once.
 *
 * @throws UpstreamUnavailable (08001) that names the place, never what was found there
 */
export async function loadCredential(source: CredentialSource): Promise<Secret> {
  const text =
    source.kind === "file" ? await fileText(source.path) : environmentText(source.variable);
  const password = text.replace(/\r?\n$/, "");
  if (password === "") throw unusable(`${placeOf(source)} is empty`);
  if (/[\0\r\n]/.test(password)) throw unusable(`${placeOf(source)} holds more than one line`);
  return new Secret(password);
}

/** Why others on this machine can read the credential; `undefined` when they can't. */
export async function credentialWarning(source: CredentialSource): Promise<string | undefined> {
  if (source.kind === "environment") return undefined;
  const { mode } = await stat(source.path);
  if ((mode & 0o077) === 0) return undefined;
  const octal = (mode & 0o777).toString(8).padStart(4, "0");
  return `${placeOf(source)} has mode ${octal}: others than its owner can use it; chmod 600 mends that`;
}

async function fileText(path: string): Promise<string> {
  const place = placeOf({ kind: "file", path });
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new Error(`larger than ${MAX_FILE_BYTES} bytes`);
    return await readFile(path, "utf8");
  } catch (cause) {
    throw unusable(`${place} can't be read`, cause);
  }
}

function environmentText(variable: string): string {
  const text = process.env[variable];
  if (text === undefined) {
    throw unusable(`${placeOf({ kind: "environment", variable })} is not set`);
  }
  return text;
}

function placeOf(source: CredentialSource): string {
  return source.kind === "file"
    ? `upstream credential file "${source.path}"`
    : `environment variable ${source.variable} for the upstream credential`;
}

function unusable(message: string, cause?: unknown): UpstreamUnavailable {
  return new UpstreamUnavailable(SQLSTATE.cannotConnect, message, { cause });
}
