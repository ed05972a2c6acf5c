import { readFileSync } from "node:fs";
import type { RequestView } from "../../src/admin/request-views.ts";
import { parsePrivateKey } from "../../src/approvals/ssh-private-key.ts";
import { APPROVAL_NAMESPACE, signSshsig } from "../../src/approvals/sshsig.ts";
import type { TestPerson, TestTwokey } from "./twokey.ts";

/** What the API answered. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Somebody at Twokey's admin port, who signs with their own key. */
export class ApiPerson {
  readonly person: TestPerson;
  readonly #url: string;
  #token: string | undefined;

  constructor({ adminUrl }: Pick<TestTwokey, "adminUrl">, person: TestPerson) {
    this.#url = `${adminUrl}/api/v1`;
    this.person = person;
  }

  async call(method: "GET" | "POST", path: string, body?: unknown): Promise<ApiAnswer> {
    this.#token ??= await this.#signIn();
    return this.#send(method, path, body);
  }

  async show(id: string): Promise<RequestView> {
    return viewOf(await this.call("GET", `/requests/${id}`));
  }

  /** The document that this person would sign. */
  async draft(id: string, terms: object = {}): Promise<string> {
    const answer = await this.call("POST", `/requests/${id}/approval-document`, terms);
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return (answer.body as { document: string }).document;
  }

  /** Hands in a document, signed with this key file. */
  handIn(id: string, document: string, keyFile = this.person.keyFile): Promise<ApiAnswer> {
    const signature = signWith(keyFile, document, APPROVAL_NAMESPACE);
    return this.call("POST", `/requests/${id}/approvals`, { document, signature });
  }

  /** Reads, signs and hands in. */
  async approve(id: string, terms: object = {}): Promise<RequestView> {
    return viewOf(await this.handIn(id, await this.draft(id, terms)));
  }

  async #signIn(): Promise<string> {
    const asked = await this.#send("POST", "/login/challenge", { person: this.person.name });
    const { challenge, namespace } = asked.body as { challenge: string; namespace: string };
    const signature = signWith(this.person.keyFile, challenge, namespace);
    const { body } = await this.#send("POST", "/login", { challenge, signature });
    return (body as { token: string }).token;
  }

  async #send(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: {
        ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }
}

/** @throws Error with what the API says, where that isn't a request */
export function viewOf({ status, body }: ApiAnswer): RequestView {
  if (status !== 200 && status !== 201) throw new Error(JSON.stringify(body));
  return body as RequestView;
}

function signWith(keyFile: string, message: string, namespace: string): string {
  return signSshsig(parsePrivateKey(readFileSync(keyFile, "utf8")), { message, namespace });
}
