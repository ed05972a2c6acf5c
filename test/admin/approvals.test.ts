import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseApprovalDocument } from "../../src/approvals/document.ts";
import { formatPublicKey } from "../../src/approvals/ssh-key.ts";
import { parseRevokedKeys } from "../../src/approvals/revoked-keys.ts";
import { signSshsig } from "../../src/approvals/sshsig.ts";
import { canonicalJson } from "../../src/base/canonical-json.ts";
import { AuditUnavailable } from "../../src/base/errors.ts";
import { sha256 } from "../../src/base/digest.ts";
import {
  asked,
  keyOf,
  newRegistry,
  openTestAdmin,
  type Answer,
  type TestAdmin,
} from "./harness.ts";

let admin: TestAdmin;
let bob: string;
beforeEach(async () => {
  admin = await openTestAdmin();
  bob = await admin.signIn("bob");
  admin.audit.length = 0;
});
afterEach(() => admin.close());

function draft(id: string, token = bob, body: object = {}): Promise<Answer> {
  return admin.call("POST", `/api/v1/requests/${id}/approval-document`, { token, body });
}

async function documentOf(id: string): Promise<string> {
  return ((await draft(id)).body as { document: string }).document;
}

function sign(person: string, message: string, namespace = "approval@twokey"): string {
  return signSshsig(keyOf(person), { message, namespace });
}

function handIn(id: string, document: string, signature: string): Promise<Answer> {
  const body = { document, signature };
  return admin.call("POST", `/api/v1/requests/${id}/approvals`, { token: bob, body });
}

async function metric(name: string): Promise<string | undefined> {
  const { body } = await admin.call("GET", "/metrics");
  return (body as string).split("\n").find((line) => line.startsWith(name));
}

describe("the approval document", () => {
  it("binds what was asked, and is valid as long as the rule allows", async () => {
    const id = await admin.open(asked());
    const text = await documentOf(id);
    expect(parseApprovalDocument(text)).toMatchObject({
      request: id,
      requester: "alice",
      approver: "bob",
      statements: asked().statements,
      database: "shop",
      environment: "production",
      upstream: "main",
      rule: "drops-need-a-lead",
      uses: 1,
      validity: { from: "2026-11-23T12:00:00Z", until: "2026-11-23T12:15:00Z" },
    });
    expect(text).not.toBe(await documentOf(id));
  });

  it("is refused to the requester, before a key is touched", async () => {
    const id = await admin.open(asked({ requester: "bob" }));
    expect(await draft(id)).toMatchObject({
      status: 422,
      body: { detail: "you may not approve your own request" },
    });
  });

  it("is refused to who is in none of the groups", async () => {
    const id = await admin.open(asked());
    expect(await draft(id, await admin.signIn("olga"))).toMatchObject({
      status: 422,
      body: { detail: "only members of lead may sign this" },
    });
  });

  it.each([
    [{ uses: 2 }, "the rule allows at most 1 uses"],
    [{ validity_seconds: 901 }, "the rule allows at most 900 seconds of validity"],
    [{ reason: " " }, "the rule asks for a reason"],
  ])("is refused with %j: %s", async (body, detail) => {
    const id = await admin.open(asked({ terms: { ...asked().terms, isReasonRequired: true } }));
    expect(await draft(id, bob, { reason: "agreed", ...body })).toMatchObject({
      status: 422,
      body: { detail },
    });
  });

  it("is refused once the request is closed", async () => {
    const id = await admin.open(asked());
    admin.clock.now += 3600_000;
    expect(await draft(id)).toMatchObject({
      status: 409,
      body: { detail: "the request has expired" },
    });
  });
});

describe("an approval", () => {
  it("counts when an approver signed the document, and is on record with all a stranger needs", async () => {
    const id = await admin.open(asked());
    const document = await documentOf(id);
    const signature = sign("bob", document);
    expect(await handIn(id, document, signature)).toMatchObject({
      status: 201,
      body: {
        state: "approved",
        signatures: 1,
        approvals: [{ approver: "bob", document, signature, valid_until: "2026-11-23T12:15:00Z" }],
      },
    });
    expect(admin.audit).toEqual([
      {
        event: "approval.signed",
        request: id,
        approval: sha256(document),
        person: "bob",
        document,
        signature,
        namespace: "approval@twokey",
        signer: "bob",
        public_key: formatPublicKey(keyOf("bob").publicKey),
      },
    ]);
    expect(await metric("twokey_approvals_total")).toBe(
      'twokey_approvals_total{outcome="accepted"} 1',
    );
    expect(await metric("twokey_requests_total")).toBe(
      'twokey_requests_total{outcome="approved"} 1',
    );
  });

  it("waits for more where the rule wants more people", async () => {
    const id = await admin.open(asked({ terms: { ...asked().terms, signatures: 2 } }));
    const document = await documentOf(id);
    expect(await handIn(id, document, sign("bob", document))).toMatchObject({
      status: 201,
      body: { state: "pending", signatures: 1, signatures_needed: 2 },
    });
    expect(await draft(id)).toMatchObject({
      status: 409,
      body: { detail: "you have signed this request already" },
    });
  });

  it("is not taken twice", async () => {
    const id = await admin.open(asked());
    const document = await documentOf(id);
    const signature = sign("bob", document);
    await handIn(id, document, signature);
    expect(await handIn(id, document, signature)).toMatchObject({
      status: 409,
      body: { detail: "the request has all its signatures already" },
    });
    expect(admin.audit).toHaveLength(1);
  });

  const tampered = (change: object) => (text: string) =>
    canonicalJson({ ...(JSON.parse(text) as object), ...change });

  it.each<[string, string, (document: string) => [document: string, signature: string]]>([
    [
      "with another document than was signed",
      "the signature does not match the document",
      (d) => [tampered({ uses: 9 })(d), sign("bob", d)],
    ],
    [
      "of a document that names another requester",
      "the document has another requester than the request",
      (d) => {
        const other = tampered({ requester: "carol" })(d);
        return [other, sign("bob", other)];
      },
    ],
    [
      "for other statements",
      "the document has other statements than the request",
      (d) => {
        const sql = "DROP DATABASE crm";
        const statements = [{ sql, sha256: sha256(sql), parameters: "none" }];
        const other = tampered({ statements })(d);
        return [other, sign("bob", other)];
      },
    ],
    [
      "of a document that is no JSON",
      "the document is not an approval: document is not JSON",
      () => ["yes", sign("bob", "yes")],
    ],
    [
      "by the requester's own key",
      "that key is registered for somebody else",
      (d) => [d, sign("alice", d)],
    ],
    ["by a key nobody knows", "that key is not registered", (d) => [d, sign("mallory", d)]],
    [
      "made for signing in",
      "the signature was made for login@twokey",
      (d) => [d, sign("bob", d, "login@twokey")],
    ],
  ])("is refused %s, on record", async (_what, detail, forge) => {
    const id = await admin.open(asked());
    const [document, signature] = forge(await documentOf(id));
    expect(await handIn(id, document, signature)).toMatchObject({ status: 422, body: { detail } });
    expect(admin.audit).toEqual([
      { event: "approval.rejected", request: id, person: "bob", reason: detail },
    ]);
    expect((await admin.requests.list({ limit: 1 })).requests[0]?.approvals).toEqual([]);
    expect(await metric("twokey_approvals_total")).toBe(
      'twokey_approvals_total{outcome="refused"} 1',
    );
  });

  it("is refused for another request than it was made for", async () => {
    const [one, two] = [await admin.open(asked()), await admin.open(asked({ database: "crm" }))];
    const document = await documentOf(one);
    expect(await handIn(two, document, sign("bob", document))).toMatchObject({
      status: 422,
      body: { detail: "the document is for another request" },
    });
  });

  it("is refused when it is handed in too late", async () => {
    const id = await admin.open(asked());
    const document = await documentOf(id);
    const signature = sign("bob", document);
    admin.clock.now += 900_000;
    expect(await handIn(id, document, signature)).toMatchObject({
      status: 422,
      body: { detail: "the approval was valid until 2026-11-23T12:15:00Z" },
    });
  });

  it("is refused by a key that was revoked after signing in", async () => {
    const id = await admin.open(asked());
    const document = await documentOf(id);
    const revoked = parseRevokedKeys(formatPublicKey(keyOf("bob").publicKey));
    admin.registry.current = { ...newRegistry(), revoked };
    expect(await handIn(id, document, sign("bob", document))).toMatchObject({ status: 401 });
  });

  it("doesn't count while it can't be recorded", async () => {
    let works = true;
    const other = await openTestAdmin({
      audit: () => (works ? Promise.resolve() : Promise.reject(new AuditUnavailable("disk full"))),
    });
    try {
      const token = await other.signIn("bob");
      const id = await other.open(asked());
      const path = `/api/v1/requests/${id}`;
      const answer = await other.call("POST", `${path}/approval-document`, { token, body: {} });
      const { document } = answer.body as { document: string };
      works = false;
      const body = { document, signature: sign("bob", document) };
      expect(await other.call("POST", `${path}/approvals`, { token, body })).toMatchObject({
        status: 503,
        body: { detail: "disk full" },
      });
      expect((await other.requests.list({ limit: 1 })).requests[0]?.state.kind).toBe("pending");
    } finally {
      await other.close();
    }
  });
});
