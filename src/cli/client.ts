import { z } from "zod";
import { problemSchema, type ProblemName } from "../admin/problem.ts";
import { challengeSchema, LOGIN_NAMESPACE } from "../admin/sign-in.ts";
import { CommandFailed } from "./command-failed.ts";
import type { TokenCache } from "./token-cache.ts";
import { visibleLine } from "./visible-line.ts";

const TIMEOUT_MS = 15_000;

export interface ClientOptions {
  readonly url: string;
  /** Who calls: the principal whose SSH key signs. */
  readonly person: string;
  readonly sign: (message: string, namespace: string) => Promise<string>;
  readonly tokens: TokenCache;
}

/** The admin port's API as one person sees it; signs in by itself when that is needed. */
export class ApiClient {
  readonly #options: ClientOptions;
  readonly #base: URL;

  /** @throws CommandFailed (2) for what is no URL, or one over which a token could be read by others */
  constructor(options: ClientOptions) {
    this.#options = { ...options, url: options.url.replace(/\/+$/, "") };
    this.#base = parseUrl(this.#options.url);
  }

  /** @throws CommandFailed: 1 where the server says no, 2 where it can't be asked */
  async call<T>(
    method: "GET" | "POST" | "DELETE",
    path: string,
    answer: z.ZodType<T>,
    body?: object,
  ): Promise<T> {
    const { tokens } = this.#options;
    const cached = tokens.get(this.#owner);
    if (cached !== undefined) {
      const response = await this.#send(method, path, { token: cached, body });
      if (response.status !== 401) return this.#read(response, answer);
      // The server was started anew, or somebody ended it there.
      tokens.forget(this.#owner);
    }
    const token = await this.#signIn();
    return this.#read(await this.#send(method, path, { token, body }), answer);
  }

  get #owner(): { url: string; person: string } {
    return { url: this.#options.url, person: this.#options.person };
  }

  async #signIn(): Promise<string> {
    const { person, sign, tokens } = this.#options;
    const asked = await this.#send("POST", "/login/challenge", { body: { person } });
    const { challenge } = await this.#read(asked, z.object({ challenge: z.string() }));
    this.#refuseForeignChallenge(challenge);
    const signature = await sign(challenge, LOGIN_NAMESPACE);
    const answered = await this.#send("POST", "/login", { body: { challenge, signature } });
    const schema = z.object({ token: z.string(), expires_at: z.string() });
    const { token, expires_at: expiresAt } = await this.#read(answered, schema);
    tokens.put(this.#owner, token, expiresAt);
    return token;
  }

  /**
   * Somebody in between could hand us a challenge of the real server, and sign in with our signature. On this machine
   * itself a port forward is the likelier reason for another name.
   */
  #refuseForeignChallenge(challenge: string): void {
    const parsed = challengeSchema.safeParse(parseJson(challenge));
    if (!parsed.success) throw this.#notTwokey();
    const { audience, person } = parsed.data;
    const isForMe = person === this.#options.person;
    const isFromThere = isLoopback(this.#base) || isOrigin(audience, this.#base.origin);
    if (isForMe && isFromThere) return;
    throw new CommandFailed(
      2,
      visibleLine(`${this.#base.origin} asks to sign in to ${audience} as ${person}`),
      {
        hint: "if that is the same server, give its own name with --url",
      },
    );
  }

  async #send(
    method: string,
    path: string,
    { token, body }: { token?: string; body?: object | undefined },
  ): Promise<Response> {
    const url = `${this.#options.url}/api/v1${path}`;
    try {
      return await fetch(url, {
        method,
        // Followed, a redirect would take the token along to wherever it points.
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new CommandFailed(2, `can't reach Twokey at ${this.#base.origin}: ${reasonOf(cause)}`, {
        hint: "is it running there? name another place with --url or TWOKEY_URL",
        cause,
      });
    }
  }

  async #read<T>(response: Response, answer: z.ZodType<T>): Promise<T> {
    const text = await response.text();
    const parsed = answer.safeParse(text === "" ? undefined : parseJson(text));
    if (response.ok && parsed.success) return parsed.data;
    const problem = problemSchema.safeParse(parseJson(text));
    if (response.ok || !problem.success) throw this.#notTwokey();
    throw toFailure(problem.data, this.#options.person);
  }

  #notTwokey(): CommandFailed {
    return new CommandFailed(2, `${this.#base.origin} does not answer as Twokey does`, {
      hint: "is it another program, or another version of Twokey?",
    });
  }
}

function toFailure(
  { type, detail, hint }: z.infer<typeof problemSchema>,
  person: string,
): CommandFailed {
  const name = type.replace("urn:twokey:problem:", "");
  if (name === ("not-signed-in" satisfies ProblemName)) {
    return new CommandFailed(2, `${person} could not sign in: ${visibleLine(detail)}`, {
      hint: "who you are is said with --as, your key with --key",
    });
  }
  const isNo = NO.some((no) => no === name);
  return new CommandFailed(
    isNo ? 1 : 2,
    visibleLine(detail),
    hint === undefined ? {} : { hint: visibleLine(hint) },
  );
}

const NO = [
  "not-allowed",
  "not-found",
  "wrong-state",
  "approval-refused",
] as const satisfies readonly ProblemName[];

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new CommandFailed(2, `${text} is not the URL of a server`, {
      hint: "it looks like https://twokey.example or http://127.0.0.1:9188",
    });
  }
  if (url.protocol === "http:" && !isLoopback(url)) {
    throw new CommandFailed(2, `${text} is not encrypted, so others could read along`, {
      hint: "use https, or a tunnel: ssh -L 9188:127.0.0.1:9188 HOST",
    });
  }
  return url;
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function isOrigin(url: string, origin: string): boolean {
  return URL.canParse(url) && new URL(url).origin === origin;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // told by the caller: not an answer of Twokey's
  }
}

/** undici hides the reason one level down. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  if (error.name === "TimeoutError") return "no answer in time";
  const { cause } = error;
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") {
    return cause.code === "ECONNREFUSED" ? "connection refused" : cause.code;
  }
  return cause instanceof Error ? cause.message : error.message;
}
