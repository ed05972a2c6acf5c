import { stat } from "node:fs/promises";
import { SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";
import { readSecret, type SecretSource } from "../config/secret-source.ts";

/**
 * The password by which we log in upstream, as it is now: read for each new connection, so that a rotated one is
 * taken up at once.
 *
 * @throws UpstreamUnavailable (08001) that names the place, never what was found there
 */
export function loadCredential(source: SecretSource): Secret {
  const secret = readCredential(source);
  if (/[\0\r\n]/.test(secret.reveal()))
    throw unusable(`${placeOf(source)} holds more than one line`);
  return secret;
}

/** Why others on this machine can read the credential; `undefined` when they can't. */
export async function credentialWarning(source: SecretSource): Promise<string | undefined> {
  if (source.from === "env") return undefined;
  const { mode } = await stat(source.path);
  if ((mode & 0o077) === 0) return undefined;
  const octal = (mode & 0o777).toString(8).padStart(4, "0");
  return `${placeOf(source)} has mode ${octal}: others than its owner can use it; chmod 600 mends that`;
}

function readCredential(source: SecretSource): Secret {
  try {
    return readSecret(source);
  } catch (cause) {
    throw unusable(`${placeOf(source)} can't be read or is empty`, cause);
  }
}

function placeOf(source: SecretSource): string {
  return source.from === "file"
    ? `upstream credential file "${source.path}"`
    : `environment variable ${source.name} for the upstream credential`;
}

function unusable(message: string, cause?: unknown): UpstreamUnavailable {
  return new UpstreamUnavailable(SQLSTATE.cannotConnect, message, { cause });
}
