import type { ApprovalTerms, BackupTerms } from "../policy/decision.ts";
import type { Conditions, Rule } from "../policy/rule.ts";
import type { ApprovalText, BackupText, ConditionsText, RuleText } from "./rule-schema.ts";

/** A rule as the file says it, as the policy reads it. */
export function toRule(text: RuleText, defaults: ApprovalText): Rule {
  return {
    name: text.name,
    when: toConditions(text),
    unless: text.unless === undefined ? undefined : toConditions(text.unless),
    outcome: toOutcome(text, defaults),
  };
}

/** What a rule says goes before `approvals.defaults`, and that before what the manual describes. */
export function toTerms(text: ApprovalText, defaults: ApprovalText): ApprovalTerms {
  return {
    approvers: text.approvers ?? defaults.approvers ?? [],
    signatures: text.signatures ?? defaults.signatures ?? 1,
    maxValiditySeconds: (text.max_validity ?? defaults.max_validity ?? 3_600_000) / 1000,
    maxUses: text.max_uses ?? defaults.max_uses ?? 1,
    isReasonRequired: text.reason ?? defaults.reason ?? false,
    parameters: text.parameters ?? defaults.parameters ?? "exact",
    waits: text.wait ?? defaults.wait ?? "refuse",
    holdSeconds: (text.hold_for ?? defaults.hold_for ?? 600_000) / 1000,
    breakGlass: text.break_glass ?? defaults.break_glass ?? [],
    freezes: text.freeze ?? defaults.freeze ?? [],
    recycleSeconds: 0,
  };
}

function toOutcome(text: RuleText, defaults: ApprovalText): Rule["outcome"] {
  switch (text.action) {
    case "allow":
      return { action: "allow", ...toObligation(text.backup) };
    case "block":
      return { action: "block", message: text.message, hint: text.hint };
    case "require_approval":
      return {
        action: "require_approval",
        message: text.message,
        hint: text.hint,
        terms: toTerms(text.approval, defaults),
        ...toObligation(text.backup),
      };
  }
}

function toObligation(text: BackupText | undefined): { readonly backup?: BackupTerms } {
  if (text === undefined) return {};
  const recent = text === "before" || "before" in text ? undefined : text;
  return {
    backup: {
      before: recent !== undefined ? "nothing" : text === "before" ? "database" : "tables",
      maxAgeSeconds: recent === undefined ? undefined : recent.max_age / 1000,
      isVerified: recent?.verified ?? false,
    },
  };
}

function toConditions(text: ConditionsText): Conditions {
  const { environments, databases, roles, people, workloads } = text;
  const { effects, destructive, objects, warnings, clients, tls, during } = text;
  return {
    ...{ environments, databases, roles, people, workloads },
    ...{ effects, destructive, objects, warnings, clients, tls, during },
    applicationNames: text.application_names,
    methods: text.auth_methods,
  } satisfies Record<keyof Conditions, unknown>;
}
