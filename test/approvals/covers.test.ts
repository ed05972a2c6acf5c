import { describe, expect, it } from "vitest";
import { addApproval, addReview } from "../../src/approvals/add-approval.ts";
import { admit, admitReview, type Registry } from "../../src/approvals/admit.ts";
import { isKeyOf, parseAllowedSigners } from "../../src/approvals/allowed-signers.ts";
import { covers, isSigned, type Coverage, type Demand } from "../../src/approvals/covers.ts";
import { approvedStatement, type ApprovalDocument } from "../../src/approvals/document.ts";
import { addSeconds, type Instant } from "../../src/approvals/instant.ts";
import { parseRequestId } from "../../src/approvals/request-id.ts";
import {
  openRequest,
  takeUse,
  type Asked,
  type Request,
  type SignedApproval,
  type UseId,
} from "../../src/approvals/request.ts";
import { parseRevokedKeys } from "../../src/approvals/revoked-keys.ts";
import { formatPublicKey } from "../../src/approvals/ssh-key.ts";
import { canonicalJson, type Json } from "../../src/base/canonical-json.ts";
import type { ApprovalTerms } from "../../src/policy/decision.ts";
import {
  ALICE,
  approvalBy,
  ASKED,
  BOB,
  CAROL,
  DROP_SHOP,
  NOW,
  REGISTRY,
  sign,
  TERMS,
} from "./people.ts";

const ID = parseRequestId("R-7F3K2M");
const LATER = addSeconds(NOW, 3600);

const DEMAND: Demand = {
  requester: "alice",
  database: "shop",
  environment: "production",
  upstream: "production-1",
  rule: "destructive-needs-two",
  sql: DROP_SHOP,
  parameters: "none",
  terms: TERMS,
};

/** Another value of the same shape, where there is one. */
function tampered(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "string") return value.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
  if (Array.isArray(value)) return [...(value as unknown[]), approvedStatement("x", "none")];
  return { ...(value as object), more: 1 };
}

/** Alice is one of these. */
const BREAK = { breakGlass: ["seniors"] };

function alone(
  who: string,
  request: Pick<Request, "id" | "asked">,
  reason = "the site is down",
): SignedApproval {
  return approvalBy(who, request, { act: "break_glass", reason });
}

/** An approved request with these signatures, put there without asking whether they count: a row is never believed. */
function requestWith(
  sign: (request: Request) => readonly SignedApproval[],
  asked: Asked = ASKED,
): Request {
  const request = openRequest(ID, asked, { now: NOW, expiresAt: LATER });
  return { ...request, state: { kind: "approved" }, approvals: sign(request) };
}

const byBob = requestWith((request) => [approvalBy("bob", request)]);

function coverage(
  request: Request,
  demand: Partial<Demand> = {},
  { registry = REGISTRY, now = NOW }: { registry?: Registry; now?: Instant } = {},
): Coverage {
  return covers([request], { ...DEMAND, ...demand }, { registry, now });
}

/** Why the one request does not cover: its reason's kind, and those of its signatures. */
function whyNot(...asked: Parameters<typeof coverage>): unknown {
  const result = coverage(...asked);
  if (result.kind === "covered") return "covered";
  const because = result.reasons[0]?.because;
  if (because?.kind === "other") return `other ${because.member}`;
  if (because?.kind !== "too_few_signatures") return because?.kind;
  return because.refused.map((refused) =>
    refused.kind === "other" ? `other ${refused.member}` : refused.kind,
  );
}

describe("a signature of a second person", () => {
  it("covers exactly the statement it was given for", () => {
    expect(coverage(byBob)).toMatchObject({
      kind: "covered",
      request: { id: ID },
      step: 0,
      approvals: [{ document: { approver: "bob" } }],
    });
    expect(covers([], DEMAND, { registry: REGISTRY, now: NOW })).toEqual({
      kind: "not_covered",
      reasons: [],
    });
  });

  it.each<[string, Partial<Demand>, string]>([
    ["another requester", { requester: "dave" }, "other requester"],
    ["another database", { database: "shop2" }, "other database"],
    ["another environment", { environment: "staging" }, "other environment"],
    ["another upstream", { upstream: "production-2" }, "other upstream"],
    ["another rule", { rule: "another" }, "other rule"],
    ["a blank more", { sql: `${DROP_SHOP} ` }, "other_statement"],
    ["another case", { sql: DROP_SHOP.toLowerCase() }, "other_statement"],
    ["a comment", { sql: `${DROP_SHOP} -- it` }, "other_statement"],
    ["values where there were none", { parameters: [{ oid: 0, null: true }] }, "other_parameters"],
  ])("does not cover %s", (_, demand, reason) => {
    expect(whyNot(byBob, demand)).toBe(reason);
  });

  it("covers only the values that were bound", () => {
    const sql = "DELETE FROM orders WHERE id = $1";
    const parameters = [{ oid: 23, text: "7" }];
    const statements = [approvedStatement(sql, parameters)];
    const request = requestWith((r) => [approvalBy("bob", r)], { ...ASKED, statements });
    expect(whyNot(request, { sql, parameters })).toBe("covered");
    expect(whyNot(request, { sql, parameters: [{ oid: 23, text: "8" }] })).toBe("other_parameters");
    expect(whyNot(request, { sql, parameters: [{ oid: 20, text: "7" }] })).toBe("other_parameters");
    expect(whyNot(request, { sql })).toBe("other_parameters");
  });

  it("covers any values only where both the signature and the rule say so", () => {
    const sql = "DELETE FROM orders WHERE id = $1";
    const statements = [approvedStatement(sql, "any")];
    const request = requestWith((r) => [approvalBy("bob", r)], { ...ASKED, statements });
    const demand = { sql, parameters: [{ oid: 23, text: "7" }] };
    const terms: ApprovalTerms = { ...TERMS, parameters: "any" };
    expect(whyNot(request, { ...demand, terms })).toBe("covered");
    expect(whyNot(request, demand)).toBe("other_parameters");
  });

  it("covers the statements of a migration in their order, each once", () => {
    const [first, second] = ["ALTER TABLE a ADD b int", "DROP TABLE c"];
    const statements = [first, second].map((sql) => approvedStatement(sql, "none"));
    let request = requestWith((r) => [approvalBy("bob", r)], { ...ASKED, statements });
    expect(whyNot(request, { sql: second })).toBe("out_of_order");
    for (const [step, sql] of [first, second].entries()) {
      expect(coverage(request, { sql })).toMatchObject({ kind: "covered", step });
      request = used(request, step);
    }
    expect(whyNot(request, { sql: first })).toBe("not_approved");
  });
});

it("covers the statements of a list whichever rule asks for each, on that rule's terms", () => {
  const statements = ["DELETE FROM a", "DROP TABLE c"].map((sql) => approvedStatement(sql, "none"));
  const request = requestWith((r) => [approvalBy("bob", r)], { ...ASKED, statements });
  const demand = { sql: "DELETE FROM a", rule: "another" };
  expect(whyNot(request, demand)).toBe("covered");
  const terms = { ...TERMS, approvers: ["dba"] };
  expect(whyNot(request, { ...demand, terms })).toEqual(["not_in_group"]);
});

it("does not count of whoever asked in the requester's name, nor by their key", () => {
  const asked = { ...ASKED, requester: "deployer", submitter: "bob" };
  const request = requestWith((r) => [approvalBy("bob", r)], asked);
  expect(whyNot(request, { requester: "deployer" })).toEqual(["own_request"]);
  const carols = requestWith((r) => [approvalBy("carol", r)], asked);
  expect(whyNot(carols, { requester: "deployer" })).toBe("covered");
  const lines = ["carol", "bob"].map((name) => `${name} ${formatPublicKey(CAROL.publicKey)}`);
  const registry = { ...REGISTRY, signers: parseAllowedSigners(lines.join("\n")) };
  expect(whyNot(carols, { requester: "deployer" }, { registry })).toEqual(["requesters_key"]);
  const hidden = { ...carols, asked: { ...ASKED, requester: "deployer" } };
  expect(whyNot(hidden, { requester: "deployer" })).toEqual(["other submitter"]);
});

describe("a signature does not count", () => {
  it.each<[string, Partial<ApprovalDocument>, string]>([
    ["for another request", { request: parseRequestId("R-000000") }, "other request"],
    ["for another requester", { requester: "dave" }, "other requester"],
    ["for another database", { database: "shop2" }, "other database"],
    ["for another environment", { environment: "staging" }, "other environment"],
    ["for another upstream", { upstream: "production-2" }, "other upstream"],
    ["for another rule", { rule: "another" }, "other rule"],
    ["for another text", { statements: [approvedStatement("x", "none")] }, "other statements"],
    ["for any values", { statements: [approvedStatement(DROP_SHOP, "any")] }, "other statements"],
    ["before its time", { validity: { from: addSeconds(NOW, 1), until: LATER } }, "not_yet_valid"],
    ["after its time", { validity: { from: addSeconds(NOW, -9), until: NOW } }, "no_longer_valid"],
    ["for too long", { validity: { from: NOW, until: addSeconds(LATER, 1) } }, "valid_too_long"],
    ["for too many uses", { uses: TERMS.maxUses + 1 }, "too_many_uses"],
    ["in somebody else's name", { approver: "carol" }, "signer_refused"],
    ["in the requester's name", { approver: "alice" }, "signer_refused"],
  ])("%s", (_, changed, reason) => {
    const request = requestWith((r) => [approvalBy("bob", r, changed)]);
    expect(whyNot(request)).toEqual([reason]);
  });

  it("under a rule whose limits are no numbers", () => {
    expect(whyNot(byBob, { terms: { ...TERMS, maxUses: NaN } })).toEqual(["too_many_uses"]);
    const endless = { ...TERMS, maxValiditySeconds: NaN };
    expect(whyNot(byBob, { terms: endless })).toEqual(["valid_too_long"]);
  });

  it("of the requester", () => {
    const request = requestWith((r) => [approvalBy("alice", r)]);
    expect(whyNot(request)).toEqual(["own_request"]);
  });

  it("by a key that the registry gives to the requester too, even if it has run out there", () => {
    const key = formatPublicKey(BOB.publicKey);
    const signers = parseAllowedSigners(`bob ${key}\nalice valid-before="20200101Z" ${key}`);
    expect(isKeyOf(signers, { key: BOB.publicKey, principal: "alice" })).toBe(true);
    expect(whyNot(byBob, {}, { registry: { ...REGISTRY, signers } })).toEqual(["requesters_key"]);
    const anybody = parseAllowedSigners(`* ${key}`);
    expect(whyNot(byBob, {}, { registry: { ...REGISTRY, signers: anybody } })).toEqual([
      "requesters_key",
    ]);
  });

  it("of somebody in no group that may sign", () => {
    const request = requestWith((r) => [approvalBy("dave", r)]);
    expect(whyNot(request)).toEqual(["not_in_group"]);
    expect(whyNot(byBob, { terms: { ...TERMS, approvers: ["dba"] } })).toEqual(["not_in_group"]);
    expect(whyNot(byBob, { terms: { ...TERMS, approvers: [] } })).toEqual(["not_in_group"]);
    const nobody = { ...REGISTRY, groups: new Map<string, string[]>() };
    expect(whyNot(byBob, {}, { registry: nobody })).toEqual(["not_in_group"]);
  });

  it("without a reason, where the rule asks for one", () => {
    const terms: ApprovalTerms = { ...TERMS, isReasonRequired: true };
    expect(whyNot(byBob, { terms })).toEqual(["reason_missing"]);
    const blank = requestWith((r) => [approvalBy("bob", r, { reason: " \n" })]);
    expect(whyNot(blank, { terms })).toEqual(["reason_missing"]);
    const given = requestWith((r) => [approvalBy("bob", r, { reason: "OPS-1187" })]);
    expect(whyNot(given, { terms })).toBe("covered");
  });

  it("once its key is revoked or unregistered, though it counted when it was made", () => {
    const revoked = parseRevokedKeys(formatPublicKey(BOB.publicKey));
    expect(whyNot(byBob, {}, { registry: { ...REGISTRY, revoked } })).toEqual(["key_revoked"]);
    const signers = parseAllowedSigners(`bob ${formatPublicKey(CAROL.publicKey)}`);
    expect(whyNot(byBob, {}, { registry: { ...REGISTRY, signers } })).toEqual(["signer_refused"]);
  });

  it("once its time is over", () => {
    expect(whyNot(byBob, {}, { now: addSeconds(LATER, -1) })).toBe("covered");
    expect(whyNot(byBob, {}, { now: LATER })).toBe("not_approved");
  });

  it.each<[string, (signed: SignedApproval) => SignedApproval, string]>([
    ["document edited", edit((text) => text.replace('"uses":1', '"uses":5')), "bad_signature"],
    ["document damaged", edit((text) => text.slice(1)), "malformed_document"],
    [
      "signature of another document",
      (signed) => ({ ...signed, signature: sign(BOB, documentOf(signed, { uses: 2 })).signature }),
      "bad_signature",
    ],
    ["signature damaged", (signed) => ({ ...signed, signature: "" }), "bad_signature"],
    ["signed by another key", (signed) => sign(CAROL, documentOf(signed)), "signer_refused"],
    ["signed by the requester", (signed) => sign(ALICE, documentOf(signed)), "signer_refused"],
  ])("with its row in the store changed: %s", (_, change, reason) => {
    const request = { ...byBob, approvals: byBob.approvals.map(change) };
    expect(whyNot(request)).toEqual([reason]);
  });

  it("with any member of the document edited, one at a time", () => {
    const asked = {
      ...ASKED,
      submitter: "sue",
      access: { role: "dba", seconds: 60 },
      statements: [],
      terms: { ...TERMS, recycleSeconds: 60 },
    };
    const whole = requestWith(
      (r) => [approvalBy("bob", r, { act: "review", impact: { rows: 1 }, reason: "agreed" })],
      asked,
    );
    const [signed = { document: "{}", signature: "" }] = whole.approvals;
    const members = Object.keys(JSON.parse(signed.document) as object);
    expect(members).toHaveLength(20);
    for (const member of members) {
      const document = JSON.parse(signed.document) as Record<string, unknown>;
      document[member] = tampered(document[member]);
      const each = { document: canonicalJson(document as Json), signature: signed.signature };
      const context = { request: whole, terms: asked.terms, registry: REGISTRY, now: NOW };
      const admission = admit(each, context);
      expect([member, admission.kind]).toEqual([member, "does_not_count"]);
      if (admission.kind === "counts") continue;
      // Either it is no document any more, or it is not what was signed.
      expect(["malformed_document", "bad_signature"]).toContain(admission.because.kind);
    }
  });

  it("for what the store says was asked, if that was changed afterwards", () => {
    const statements = [approvedStatement("DROP DATABASE hr", "none")];
    const request = { ...byBob, asked: { ...ASKED, statements } };
    expect(whyNot(request, { sql: "DROP DATABASE hr" })).toEqual(["other statements"]);
    const moved = { ...byBob, asked: { ...ASKED, database: "hr" } };
    expect(whyNot(moved, { database: "hr" })).toEqual(["other database"]);
  });

  it("beyond its own number of uses, whatever the request's state says", () => {
    const spent = { ...used(byBob, 0), state: { kind: "approved" } as const };
    expect(whyNot(spent)).toEqual(["used_up"]);
  });
});

describe("during a freeze", () => {
  // NOW is a Monday, 17:00.
  const freezes: ApprovalTerms["freezes"] = [
    { name: "rush", kind: "weekly", fromMinute: 960, toMinute: 1080, timeZone: "UTC" },
  ];
  const terms = { ...TERMS, freezes };

  it("no signature counts, not even one given before", () => {
    expect(whyNot(byBob, { terms })).toEqual(["frozen"]);
    expect(whyNot(byBob, { terms }, { now: addSeconds(NOW, 3599) })).toEqual(["frozen"]);
    const earlier = { ...terms, freezes: [{ ...freezes[0], toMinute: 1020 }] as typeof freezes };
    expect(whyNot(byBob, { terms: earlier })).toBe("covered");
  });

  it("a request keeps its signatures for afterwards", () => {
    const frozen = { ...byBob, asked: { ...ASKED, terms } };
    expect(isSigned(frozen, { registry: REGISTRY, now: NOW })).toBe(true);
  });

  it("the glass may be broken", () => {
    const broken = requestWith((r) => [alone("alice", r)], {
      ...ASKED,
      terms: { ...terms, ...BREAK },
    });
    expect(whyNot(broken, { terms: { ...terms, ...BREAK } })).toBe("covered");
  });
});

describe("who breaks the glass", () => {
  const two = { ...TERMS, ...BREAK, signatures: 2 };
  const broken = requestWith((r) => [alone("alice", r)]);

  it("goes alone, however many signatures the rule asks for", () => {
    expect(whyNot(broken, { terms: two })).toBe("covered");
  });

  it.each<[string, Request, ApprovalTerms, string]>([
    ["where the rule lets nobody", broken, TERMS, "may_not_break_glass"],
    ["in another group", broken, { ...TERMS, breakGlass: ["dba"] }, "may_not_break_glass"],
    ["without a reason", requestWith((r) => [alone("alice", r, "  ")]), two, "reason_missing"],
    ["for somebody else", requestWith((r) => [alone("bob", r)]), two, "not_own_request"],
    ["by a plain signature", requestWith((r) => [approvalBy("alice", r)]), two, "own_request"],
    [
      "by a review",
      requestWith((r) => [approvalBy("bob", r, { act: "review" })]),
      two,
      "other_act",
    ],
  ])("does not %s", (_, request, terms, reason) => {
    expect(whyNot(request, { terms })).toEqual([reason]);
  });

  it("leaves a review open, which a second person signs and the requester can't", () => {
    const asked = { ...ASKED, terms: two };
    const request = openRequest(ID, asked, { now: NOW, expiresAt: LATER });
    const context = { request, terms: two, registry: REGISTRY, now: NOW };
    const admission = admit(alone("alice", request), context);
    if (admission.kind !== "counts") throw new Error(admission.because.kind);
    const opened = addApproval(request, admission.approval, NOW);
    expect(opened).toMatchObject({
      kind: "moved",
      request: { state: { kind: "approved" }, review: { kind: "open", since: NOW } },
    });
    if (opened.kind !== "moved") return;
    const reviewBy = (who: string, act: "review" | "break_glass" = "review"): unknown =>
      admitReview(approvalBy(who, opened.request, { act, reason: "seen" }), context);
    expect(reviewBy("alice")).toMatchObject({ because: { kind: "own_request" } });
    expect(reviewBy("dave")).toMatchObject({ because: { kind: "not_in_group" } });
    expect(reviewBy("bob", "break_glass")).toMatchObject({ because: { kind: "other_act" } });
    const review = admitReview(approvalBy("bob", opened.request, { act: "review" }), context);
    if (review.kind !== "counts") throw new Error(review.because.kind);
    const done = addReview(used(opened.request, 0), review.review, LATER);
    expect(done).toMatchObject({ request: { review: { kind: "signed", at: LATER } } });
    if (done.kind !== "moved") return;
    expect(addReview(done.request, review.review, LATER)).toMatchObject({
      because: { kind: "no_review_open" },
    });
    expect(addReview(request, review.review, LATER)).toMatchObject({
      because: { kind: "no_review_open" },
    });
  });
});

describe("several signatures", () => {
  const two: ApprovalTerms = { ...TERMS, signatures: 2 };
  const asked: Asked = { ...ASKED, terms: two };

  it("must be as many as the rule in force now asks for", () => {
    expect(whyNot(byBob, { terms: two })).toEqual([]);
    const both = requestWith((r) => [approvalBy("bob", r), approvalBy("carol", r)], asked);
    expect(whyNot(both, { terms: two })).toBe("covered");
    expect(whyNot(both, { terms: { ...TERMS, signatures: 3 } })).toEqual([]);
  });

  it("are of different people", () => {
    const twice = requestWith(
      (r) => [approvalBy("bob", r), approvalBy("bob", r, { reason: "again" })],
      asked,
    );
    expect(whyNot(twice, { terms: two })).toEqual(["same_person_twice"]);
  });

  it("are by different keys, even under different names", () => {
    const key = formatPublicKey(BOB.publicKey);
    const registry = { ...REGISTRY, signers: parseAllowedSigners(`bob,carol ${key}`) };
    const shared = requestWith(
      (r) => [approvalBy("bob", r), approvalBy("bob", r, { approver: "carol" })],
      asked,
    );
    expect(whyNot(shared, { terms: two }, { registry })).toEqual(["same_person_twice"]);
  });

  it("are never fewer than one, whatever the rule says", () => {
    const unsigned = requestWith(() => []);
    for (const signatures of [0, -1, NaN, 0.5]) {
      expect(whyNot(unsigned, { terms: { ...TERMS, signatures } })).toEqual([]);
    }
  });
});

it("finds the one request of several that covers, and says of the others why they don't", () => {
  const other = { ...byBob, id: parseRequestId("R-000000") };
  const demand = { registry: REGISTRY, now: NOW };
  expect(covers([other, byBob], DEMAND, demand)).toMatchObject({ request: { id: ID } });
  expect(covers([other], DEMAND, demand)).toMatchObject({
    reasons: [
      { request: "R-000000", because: { refused: [{ kind: "other", member: "request" }] } },
    ],
  });
});

it("admits under the terms handed in, not under those the request was opened with", () => {
  const [signed = { document: "", signature: "" }] = byBob.approvals;
  const terms = { ...TERMS, maxValiditySeconds: 60 };
  expect(admit(signed, { request: byBob, terms, registry: REGISTRY, now: NOW })).toEqual({
    kind: "does_not_count",
    because: { kind: "valid_too_long", maxSeconds: 60 },
  });
});

function used(request: Request, step: number): Request {
  const use = { id: `use-${step}` as UseId, step, instance: "one", usedAt: NOW };
  const taken = takeUse(request, use);
  if (taken.kind === "moved") return taken.request;
  throw new Error(taken.because.kind);
}

function edit(change: (text: string) => string): (signed: SignedApproval) => SignedApproval {
  return ({ document, signature }) => ({ document: change(document), signature });
}

function documentOf(
  { document }: SignedApproval,
  changed: Partial<ApprovalDocument> = {},
): ApprovalDocument {
  return { ...(JSON.parse(document) as ApprovalDocument), ...changed };
}
