import { SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";
import type { SecretSource } from "../config/secret-source.ts";
import { loadCredential } from "../upstream/credential.ts";
import { UpstreamRefused } from "../upstream/startup-messages.ts";
import { readNext } from "./password-file.ts";

/**
 * Logs in with the password that is stored; where the server refuses it while it is being changed, with the one that
 * takes its place. So nobody is turned away for the moment of a rotation, nor after one that a crash cut short.
 *
 * @param name - of the setting, for the message where there is no password
 */
export async function withStoredPassword<T>(
  { source, name }: { readonly source: SecretSource | undefined; readonly name: string },
  logIn: (password: () => Promise<Secret>) => Promise<T>,
): Promise<T> {
  let tried: Secret | undefined;
  try {
    return await logIn(() =>
      Promise.resolve().then(() => {
        tried = load(source, name);
        return tried;
      }),
    );
  } catch (error) {
    if (!isWrongPassword(error) || tried === undefined || source === undefined) throw error;
    for (const other of othersThan(tried, source)) {
      try {
        return await logIn(() => Promise.resolve(other));
      } catch (again) {
        if (!isWrongPassword(again)) throw again;
      }
    }
    throw error;
  }
}

export function isWrongPassword(error: unknown): boolean {
  return error instanceof UpstreamRefused && error.sqlstate === SQLSTATE.invalidPassword;
}

function load(source: SecretSource | undefined, name: string): Secret {
  if (source !== undefined) return loadCredential(source);
  throw new UpstreamUnavailable(
    SQLSTATE.cannotConnect,
    `the server asks for a password, and none is configured for ${name}`,
    { hint: `say where it is found: ${name}.password` },
  );
}

// The one to come is looked for first: were it adopted in between, it would then be found in its new place.
function othersThan(tried: Secret, source: SecretSource): readonly Secret[] {
  if (source.from === "env") return [];
  const next = readNext(source.path);
  const found = [loadCredential(source), ...(next === undefined ? [] : [next])];
  return found.filter((secret) => secret.reveal() !== tried.reveal());
}
