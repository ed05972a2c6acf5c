import type { Secret } from "../../base/secret.ts";

const MAX_REASON = 200;

export interface PostOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Read at each attempt, so that a rotated one is used from then on. */
  readonly secretHeaders: ReadonlyMap<string, () => Secret>;
}

/**
 * Posts a body. Redirects are not followed: what is sent is meant for the configured address alone.
 *
 * @returns what was answered with a status of success
 * @throws Error for any other answer, and for none
 */
export async function post(
  { url, headers, secretHeaders }: PostOptions,
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<string> {
  const secrets = [...secretHeaders].map(([name, secret]) => [name, secret().reveal()] as const);
  const response = await fetch(url, {
    method: "POST",
    headers: { "user-agent": "twokey", ...headers, ...Object.fromEntries(secrets) },
    body,
    redirect: "manual",
    signal,
  });
  const text = await response.text();
  if (response.ok) return text;
  throw new Error(`answered ${response.status} ${text.slice(0, MAX_REASON)}`.trim());
}
