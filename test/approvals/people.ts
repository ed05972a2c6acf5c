import { createHash } from "node:crypto";
import { admit, type CountingApproval, type Registry } from "../../src/approvals/admit.ts";
import { parseAllowedSigners } from "../../src/approvals/allowed-signers.ts";
import {
  approvedStatement,
  encodeApprovalDocument,
  type ApprovalDocument,
} from "../../src/approvals/document.ts";
import { draftApproval } from "../../src/approvals/draft.ts";
import { parseInstant } from "../../src/approvals/instant.ts";
import type { Asked, Request, SignedApproval } from "../../src/approvals/request.ts";
import { NO_REVOKED_KEYS } from "../../src/approvals/revoked-keys.ts";
import { formatPublicKey } from "../../src/approvals/ssh-key.ts";
import { ed25519KeyPair, type Ed25519KeyPair } from "../../src/approvals/ssh-private-key.ts";
import { APPROVAL_NAMESPACE, signSshsig } from "../../src/approvals/sshsig.ts";
import type { ApprovalTerms } from "../../src/policy/decision.ts";

/** The people whom the tests of approvals and of the request store know: alice asks, the others sign. */
export const ALICE = keyPair("alice");
export const BOB = keyPair("bob");
export const CAROL = keyPair("carol");
const DAVE = keyPair("dave");

export const NOW = parseInstant("2026-11-23T17:00:00Z");

export const REGISTRY: Registry = {
  signers: parseAllowedSigners(
    Object.entries({ alice: ALICE, bob: BOB, carol: CAROL, dave: DAVE })
      .map(([name, { publicKey }]) => `${name} ${formatPublicKey(publicKey)}`)
      .join("\n"),
  ),
  revoked: NO_REVOKED_KEYS,
  groups: new Map([
    ["alice", ["seniors", "leads"]],
    ["bob", ["leads"]],
    ["carol", ["dba", "leads"]],
    ["dave", ["juniors"]],
  ]),
};

export const TERMS: ApprovalTerms = {
  approvers: ["leads"],
  signatures: 1,
  maxValiditySeconds: 3600,
  maxUses: 5,
  isReasonRequired: false,
  parameters: "exact",
  waits: "refuse",
  holdSeconds: 0,
  breakGlass: [],
  freezes: [],
  recycleSeconds: 0,
};

export const DROP_SHOP = 'DROP DATABASE "shop"';

export const ASKED: Asked = {
  requester: "alice",
  roles: ["senior"],
  client: "10.0.0.7 psql",
  database: "shop",
  environment: "production",
  upstream: "production-1",
  rule: "destructive-needs-two",
  terms: TERMS,
  statements: [approvedStatement(DROP_SHOP, "none")],
  summary: DROP_SHOP,
  effects: ["destructive_ddl"],
  reason: "",
};

function keyPair(name: string): Ed25519KeyPair {
  return ed25519KeyPair(createHash("sha256").update(name).digest());
}

export function sign(pair: Ed25519KeyPair, document: ApprovalDocument): SignedApproval {
  const text = encodeApprovalDocument(document);
  const signature = signSshsig(pair, { message: text, namespace: APPROVAL_NAMESPACE });
  return { document: text, signature };
}

/** What `approver` would sign for the request, with whatever a test wants changed. */
export function approvalBy(
  approver: string,
  request: Pick<Request, "id" | "asked">,
  changed: Partial<ApprovalDocument> = {},
): SignedApproval {
  const nonce = createHash("md5").update(approver).digest();
  const document = draftApproval(request, { approver, now: NOW, nonce });
  return sign(keyPair(approver), { ...document, ...changed });
}

/** @throws Error when it does not count */
export function countingApproval(
  approver: string,
  request: Pick<Request, "id" | "asked">,
  changed: Partial<ApprovalDocument> = {},
): CountingApproval {
  const admission = admit(approvalBy(approver, request, changed), {
    request,
    terms: request.asked.terms,
    registry: REGISTRY,
    now: NOW,
  });
  if (admission.kind === "counts") return admission.approval;
  throw new Error(`does not count: ${JSON.stringify(admission.because)}`);
}
