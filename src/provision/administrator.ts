import { Secret } from "../base/secret.ts";
import type { Host } from "../config/config.ts";
import { parseHost } from "../config/host.ts";
import { readSecret } from "../config/secret-source.ts";

/** Somebody who may change roles on the server, lent to us for one command and never stored. */
export interface Administrator {
  readonly user: string;
  readonly password: Secret;
  /** `undefined`: where the configuration says that the server is. */
  readonly host: Host | undefined;
}

/**
 * Reads `env:NAME` or `file:PATH`, which hold `postgresql://USER:PASSWORD@[HOST[:PORT]]`; the URL itself would stand in
 * everybody's list of processes. A host that begins with `%2F` is the directory of a Unix socket, as libpq has it.
 *
 * @throws Error that doesn't tell what was found there
 */
export function readAdministrator(place: string, env: NodeJS.ProcessEnv): Administrator {
  const [, from, where = ""] = /^(env|file):(.+)$/.exec(place) ?? [];
  if (from === undefined) {
    throw new Error("say where the administrator's URL is: env:NAME or file:PATH, not the URL");
  }
  const text = readSecret(
    from === "env" ? { from: "env", name: where } : { from: "file", path: where },
    env,
  );
  const administrator = parse(text.reveal());
  if (administrator !== undefined) return administrator;
  throw new Error(`${place} does not hold postgresql://USER:PASSWORD@HOST[:PORT], or @- for HOST`);
}

const URL_FORM = /^postgres(?:ql)?:\/\/([^:@/?#]+)(?::([^@/?#]*))?@([^/?#]+)\/?$/;

function parse(url: string): Administrator | undefined {
  const [, user, password = "", host = ""] = URL_FORM.exec(url) ?? [];
  if (user === undefined) return undefined;
  try {
    return {
      user: decodeURIComponent(user),
      password: new Secret(decodeURIComponent(password)),
      host: host === "-" ? undefined : parseAdministratorHost(host),
    };
  } catch {
    return undefined; // malformed percent-encoding or port; the text itself must not be told
  }
}

function parseAdministratorHost(host: string): Host {
  return parseHost(decodeURIComponent(host), 5432);
}
