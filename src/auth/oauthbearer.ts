import { decodeText } from "./sasl-messages.ts";

// SASL OAUTHBEARER (RFC 7628), as libpq speaks it since PostgreSQL 18. The client's one message is
//
//     n,,^Aauth=Bearer <token>^A^A
//
// with ^A for 0x01. Without a token (`auth=`) it asks where to get one. Whatever is refused is answered by a JSON
// object, which the client confirms by a lone ^A before it is told that it failed.

/** Where a client learns how to get a token. */
export interface BearerDiscovery {
  /** URL of the provider's metadata (OpenID Connect Discovery). */
  readonly configurationUrl: string;
  /** Blank-separated, to be asked for. */
  readonly scope: string;
}

export type BearerMessage =
  { readonly kind: "token"; readonly token: string } | { readonly kind: "discovery" };

const SEPARATOR = "\u0001";

/** @returns `undefined` for anything malformed, for channel binding, and for another person's authority (`a=`) */
export function decodeBearer(response: Buffer): BearerMessage | undefined {
  const [header, ...rest] = decodeText(response)?.split(SEPARATOR) ?? [];
  // Each pair ends in a separator, and so does the message.
  if ((header !== "n,," && header !== "y,,") || rest.at(-1) !== "" || rest.at(-2) !== "")
    return undefined;
  const pairs = rest.slice(0, -2).map((pair) => /^([A-Za-z]+)=([\t\n\r\x20-\x7e]*)$/.exec(pair));
  const values = pairs.flatMap((pair) => (pair?.[1] === "auth" ? [pair[2] ?? ""] : []));
  const [auth] = values;
  if (pairs.includes(null) || values.length !== 1 || auth === undefined) return undefined;
  if (auth === "") return { kind: "discovery" };
  // RFC 6750 §2.1, as strictly as PostgreSQL.
  const token = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(auth)?.[1];
  return token === undefined ? undefined : { kind: "token", token };
}

export function encodeBearerError({ configurationUrl, scope }: BearerDiscovery): string {
  return JSON.stringify({
    status: "invalid_token",
    "openid-configuration": configurationUrl,
    scope,
  });
}
