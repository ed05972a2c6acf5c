import type {
  Effect,
  ParsedClassification,
  StatementClassification,
  UnparsedClassification,
} from "../../src/sql/classification.ts";
import type { Client } from "../../src/policy/client.ts";
import type { DecisionInput } from "../../src/policy/decide.ts";
import type { ApprovalTerms } from "../../src/policy/decision.ts";
import { parseIpAddress } from "../../src/policy/network.ts";
import type { Place } from "../../src/policy/place.ts";
import type { Principal } from "../../src/policy/principal.ts";
import type { Outcome, Rule } from "../../src/policy/rule.ts";

export const alice: Principal = { kind: "person", name: "alice", roles: ["senior"] };
export const api: Principal = { kind: "workload", name: "api", roles: ["application"] };

export const production: Place = {
  database: "shop",
  serverDatabase: "shop",
  environment: "production",
};
export const development: Place = {
  database: "shop_dev",
  serverDatabase: "shop_dev",
  environment: "development",
};

export const office: Client = {
  address: parseIpAddress("10.1.2.3"),
  applicationName: "psql",
  hasTls: true,
  method: "scram-sha-256",
};

export const terms: ApprovalTerms = {
  approvers: ["lead"],
  signatures: 1,
  maxValiditySeconds: 3600,
  maxUses: 1,
  isReasonRequired: false,
  parameters: "exact",
  waits: "refuse",
  holdSeconds: 600,
  breakGlass: [],
  freezes: [],
  recycleSeconds: 0,
};

export const allow: Outcome = { action: "allow" };
export const block: Outcome = { action: "block", message: undefined, hint: undefined };
export const sign: Extract<Outcome, { action: "require_approval" }> = {
  action: "require_approval",
  message: undefined,
  hint: undefined,
  terms,
};

export function rule(
  name: string,
  outcome: Outcome,
  when: Rule["when"] = {},
  unless?: Rule["unless"],
): Rule {
  return { name, when, unless, outcome };
}

export function statement(
  effects: readonly Effect[],
  more: Partial<StatementClassification> = {},
): StatementClassification {
  return {
    node: "SelectStmt",
    summary: "SELECT",
    effects,
    destructive: false,
    mustRefuse: false,
    reach: "database",
    objects: [],
    reasons: [],
    warnings: [],
    unknownFunctions: [],
    changes: [],
    ...more,
  };
}

export function parsed(...statements: readonly StatementClassification[]): ParsedClassification {
  return {
    kind: "parsed",
    text: "",
    statements,
    effects: [...new Set(statements.flatMap(({ effects }) => effects))],
    destructive: statements.some(({ destructive }) => destructive),
    mustRefuse: statements.some(({ mustRefuse }) => mustRefuse),
    mayChangeLexing: false,
    hasParameters: false,
    dependsOnSession: false,
  };
}

export function unparsed(
  cause: UnparsedClassification["cause"] = "syntax",
): UnparsedClassification {
  return {
    kind: "unparsed",
    effects: ["unparsed"],
    cause,
    message: 'syntax error at or near "EXIST"',
    position: 4,
  };
}

export function input(
  classification: DecisionInput["classification"],
  more: Partial<DecisionInput> = {},
): DecisionInput {
  return {
    classification,
    principal: alice,
    client: office,
    place: production,
    neighbours: [],
    at: new Date("2026-11-23T12:00:00Z"),
    ...more,
  };
}
