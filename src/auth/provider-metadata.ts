import { isPrivate } from "../base/private-url.ts";
import { fetchJson } from "./fetch-json.ts";

const CACHE_MS = 60 * 60_000;
/** After a failure, before it is tried again: nobody must make us ask for every log-in. */
const COOLDOWN_MS = 5_000;

/** What an OpenID provider says of itself at its well-known address (OpenID Connect Discovery 1.0 §4). */
export class ProviderMetadata {
  readonly url: string;
  readonly #issuer: string;
  readonly #ca: Buffer | undefined;
  readonly #timeoutMs: number;
  #current: { readonly keysUrl: Promise<string>; untilMs: number } | undefined;

  constructor({
    issuer,
    ca,
    timeoutMs,
  }: {
    readonly issuer: string;
    readonly ca: Buffer | undefined;
    readonly timeoutMs: number;
  }) {
    this.#issuer = issuer;
    this.#ca = ca;
    this.#timeoutMs = timeoutMs;
    this.url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  }

  /** @throws Error while the provider can't be asked, or says that it is somebody else */
  keysUrl(nowMs: number): Promise<string> {
    if (this.#current !== undefined && nowMs < this.#current.untilMs) return this.#current.keysUrl;
    const current = { keysUrl: this.#fetch(), untilMs: nowMs + CACHE_MS };
    this.#current = current;
    // Told to whoever asked; here only when to ask again.
    current.keysUrl.catch(() => {
      current.untilMs = nowMs + COOLDOWN_MS;
    });
    return current.keysUrl;
  }

  async #fetch(): Promise<string> {
    const response = await fetchJson(this.url, { ca: this.#ca, timeoutMs: this.#timeoutMs });
    const { issuer, jwks_uri: keysUrl } = (await response.json()) as Record<string, unknown>;
    if (issuer !== this.#issuer) throw new Error(`${this.url} is of another issuer`);
    if (typeof keysUrl !== "string" || !isPrivate(keysUrl)) {
      throw new Error(`${this.url} names no keys that can be fetched safely`);
    }
    return keysUrl;
  }
}
