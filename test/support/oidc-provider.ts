import { createServer, type Server } from "node:http";
import { createHash, randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

const AUDIENCE = "twokey";
const CLIENT = { id: "laptop", secret: "of-the-test" };
const CALLBACK = "http://127.0.0.1/callback";

/** A person as the provider knows them. */
export interface Account {
  readonly sub: string;
  readonly email: string;
  readonly email_verified: boolean;
  readonly groups: readonly string[];
}

/** A real OpenID provider on this machine, with people who sign in as a browser would, and jobs. */
export class TestOidcProvider {
  readonly issuer: string;
  readonly audience = AUDIENCE;
  readonly #server: Server;

  private constructor(issuer: string, server: Server) {
    this.issuer = issuer;
    this.#server = server;
  }

  static async start(accounts: readonly Account[]): Promise<TestOidcProvider> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { privateKey } = await generateKeyPair("RS256", { extractable: true });
    const key = { ...(await exportJWK(privateKey)), alg: "RS256", use: "sig", kid: "first" };
    const provider = new Provider(issuer, {
      jwks: { keys: [key] },
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: [CALLBACK],
          grant_types: ["authorization_code", "client_credentials"],
          response_types: ["code"],
          id_token_signed_response_alg: "RS256",
        },
      ],
      claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
      scopes: ["openid", "email", "groups"],
      conformIdTokenClaims: false,
      pkce: { required: () => true },
      cookies: { keys: ["of the test"] },
      findAccount: (_, sub) => {
        const found = accounts.find((account) => account.sub === sub);
        return found && { accountId: sub, claims: () => ({ ...found, groups: [...found.groups] }) };
      },
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      // Who signs in has agreed to everything.
      loadExistingGrant: async (context): Promise<InstanceType<Provider["Grant"]> | undefined> => {
        const { client, session } = context.oidc;
        const accountId = session?.accountId;
        if (client === undefined || accountId === undefined) return undefined;
        const grant = new provider.Grant({ clientId: client.clientId, accountId });
        grant.addOIDCScope("openid email groups");
        await grant.save();
        return grant;
      },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: () => ({
            scope: "database",
            audience: AUDIENCE,
            accessTokenFormat: "jwt",
            accessTokenTTL: 300,
            jwt: { sign: { alg: "RS256" } },
          }),
        },
      },
    });
    const answer = provider.callback();
    server.on("request", (request, response) => {
      const who = /^login=([\w-]+)/.exec(request.headers["x-person"]?.toString() ?? "")?.[1];
      if (request.url?.startsWith("/interaction/") === true) {
        void provider.interactionFinished(request, response, { login: { accountId: who ?? "" } });
      } else {
        void answer(request, response);
      }
    });
    return new TestOidcProvider(issuer, server);
  }

  /** An ID token, by the authorization code flow with PKCE. */
  async idToken(sub: string): Promise<string> {
    const verifier = randomBytes(32).toString("base64url");
    const query = new URLSearchParams({
      client_id: CLIENT.id,
      redirect_uri: CALLBACK,
      response_type: "code",
      scope: "openid email groups",
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    });
    const code = await this.#code(`${this.issuer}/auth?${query.toString()}`, sub);
    const answer = await this.#token({
      grant_type: "authorization_code",
      redirect_uri: CALLBACK,
      code_verifier: verifier,
      code,
    });
    return String(answer["id_token"]);
  }

  /** An access token of the client itself, as a job gets it. */
  async accessToken(): Promise<string> {
    const asked = { grant_type: "client_credentials", resource: "urn:twokey", scope: "database" };
    return String((await this.#token(asked))["access_token"]);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Follows the way of a browser from page to page up to our own. */
  async #code(start: string, sub: string): Promise<string> {
    const cookies = new Map<string, string>();
    for (let url = start, step = 0; step < 10; step++) {
      const response = await fetch(url, {
        redirect: "manual",
        headers: {
          cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; "),
          "x-person": `login=${sub}`,
        },
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
        cookies.set(name, value);
      }
      const location = new URL(response.headers.get("location") ?? "", url);
      const code = location.searchParams.get("code");
      if (code !== null) return code;
      if (response.headers.get("location") === null) throw new Error(await response.text());
      url = location.href;
    }
    throw new Error("the provider sends us from page to page");
  }

  async #token(form: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.issuer}/token`, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString("base64")}`,
      },
      body: new URLSearchParams(form),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(JSON.stringify(answer));
    return answer;
  }
}
