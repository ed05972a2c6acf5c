import type { ApprovalTerms, BackupTerms, Decision } from "./decision.ts";
import type { Freeze } from "./freeze.ts";

const STRICTNESS = { allow: 0, require_approval: 1, block: 2 } as const satisfies Record<
  Decision["action"],
  number
>;

/**
 * The decision that satisfies both: the stricter one, the first where they are equal. Of two approvals the terms
 * are joined, so that no statement of a batch is signed for on easier terms than alone.
 */
export function strictest(first: Decision, second: Decision): Decision {
  const decision = stricter(first, second);
  if (decision.action === "block" || first.action === "block" || second.action === "block") {
    return decision;
  }
  const backup = joinBackups(first.backup, second.backup);
  return backup === undefined ? decision : { ...decision, backup };
}

function stricter(first: Decision, second: Decision): Decision {
  if (first.action === "require_approval" && second.action === "require_approval") {
    const terms = joinTerms(first.terms, second.terms);
    if (terms.approvers.length > 0) return { ...first, terms };
    return {
      action: "block",
      rule: "builtin:no-common-approver",
      environment: second.environment,
      statement: second.statement,
      message: `rules ${first.rule} and ${second.rule} ask for different approvers, so nobody can sign for both at once`,
      hint: "send the statements one by one",
    };
  }
  return strictnessOf(second) > strictnessOf(first) ? second : first;
}

/** Of two that pass, the one that would have been the stricter is told of. */
function strictnessOf(decision: Decision): number {
  const { action } = decision;
  if (action !== "allow" || decision.observed === undefined) return STRICTNESS[action];
  return STRICTNESS[decision.observed.action] / 10;
}

/** Terms under which a signature satisfies both. */
function joinTerms(a: ApprovalTerms, b: ApprovalTerms): ApprovalTerms {
  return {
    approvers: a.approvers.filter((role) => b.approvers.includes(role)),
    signatures: Math.max(a.signatures, b.signatures),
    maxValiditySeconds: Math.min(a.maxValiditySeconds, b.maxValiditySeconds),
    maxUses: Math.min(a.maxUses, b.maxUses),
    isReasonRequired: a.isReasonRequired || b.isReasonRequired,
    parameters: a.parameters === "any" ? b.parameters : a.parameters,
    waits: a.waits === "hold" ? b.waits : a.waits,
    holdSeconds: Math.min(a.holdSeconds, b.holdSeconds),
    breakGlass: a.breakGlass.filter((role) => b.breakGlass.includes(role)),
    freezes: [
      ...a.freezes,
      ...b.freezes.filter((freeze) => !a.freezes.some((one) => isSame(one, freeze))),
    ],
    recycleSeconds: Math.max(a.recycleSeconds, b.recycleSeconds),
  };
}

const BEFORE = ["nothing", "tables", "database"] as const;

/** A backup that satisfies both. */
function joinBackups(
  a: BackupTerms | undefined,
  b: BackupTerms | undefined,
): BackupTerms | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const ages = [a.maxAgeSeconds, b.maxAgeSeconds].filter((age) => age !== undefined);
  return {
    before: BEFORE.indexOf(a.before) > BEFORE.indexOf(b.before) ? a.before : b.before,
    maxAgeSeconds: ages.length === 0 ? undefined : Math.min(...ages),
    isVerified: a.isVerified || b.isVerified,
  };
}

function isSame(one: Freeze, other: Freeze): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
