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
    act,
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
    /** What it is, where it is no approval by a second person. */
    readonly act?: NonNullable<ApprovalDocument["act"]> | undefined;
    readonly impact?: Readonly<Record<string, Json>> | undefined;
  },
): ApprovalDocument {
  return {
    type: "twokey-approval",
    version: 2,
    request: id,
    requester: asked.requester,
    ...(asked.submitter === undefined ? {} : { submitter: asked.submitter }),
    approver,
    ...(act === undefined ? {} : { act }),
    statements: asked.statements,
    ...(asked.access === undefined ? {} : { access: asked.access }),
    ...recycleOf(asked),
    database: asked.database,
    environment: asked.environment,
    upstream: asked.upstream,
    rule: asked.rule,
    uses,
    validity: { from: now, until: addSeconds(now, validitySeconds) },
    reason,
    nonce: Buffer.from(nonce).toString("hex"),
    ...(impact === undefined ? {} : { impact }),
    context: { client: asked.client, roles: asked.roles, recent: recentOf(asked) },
  };
}

function recentOf({ recent = [] }: Request["asked"]): Json {
  return recent.map(({ at, sql }) => ({ at, sql }));
}

/** What an approval says of the recycle bin, where the rule moves there what the statement drops. */
export function recycleOf({
  terms: { recycleSeconds },
}: Pick<Request["asked"], "terms">): Pick<ApprovalDocument, "recycle"> {
  return recycleSeconds === 0 ? {} : { recycle: { keep_seconds: recycleSeconds } };
}
