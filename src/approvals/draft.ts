import type { Json } from "../base/canonical-json.ts";
import type { ApprovalDocument } from "./document.ts";
import { addSeconds, type Instant } from "./instant.ts";
import type { Request } from "./request.ts";

/** The document that would approve `request`, ready to be encoded, shown and signed. */
export function draftApproval(
  { id, asked }: Pick<Request, "id" | "asked">,
  {
    approver,
    now,
    nonce,
    uses = 1,
    validitySeconds = asked.terms.maxValiditySeconds,
    reason = "",
    impact,
  }: {
    readonly approver: string;
    readonly now: Instant;
    /** Sixteen random bytes. */
    readonly nonce: Uint8Array;
    readonly uses?: number | undefined;
    /** As long as the rule allows, where nothing is said. */
    readonly validitySeconds?: number | undefined;
    readonly reason?: string | undefined;
    readonly impact?: Readonly<Record<string, Json>> | undefined;
  },
): ApprovalDocument {
  return {
    type: "twokey-approval",
    version: 1,
    request: id,
    requester: asked.requester,
    ...(asked.submitter === undefined ? {} : { submitter: asked.submitter }),
    approver,
    statements: asked.statements,
    database: asked.database,
    environment: asked.environment,
    upstream: asked.upstream,
    rule: asked.rule,
    uses,
    validity: { from: now, until: addSeconds(now, validitySeconds) },
    reason,
    nonce: Buffer.from(nonce).toString("hex"),
    ...(impact === undefined ? {} : { impact }),
  };
}
