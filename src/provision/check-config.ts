import type { AllowedSigners } from "../approvals/allowed-signers.ts";
import type { Config, Database, PrincipalConfig } from "../config/config.ts";
import { isLoopback } from "../config/host.ts";
import { decide } from "../policy/decide.ts";
import type { Client } from "../policy/client.ts";
import type { Rule } from "../policy/rule.ts";
import { classify } from "../sql/classify.ts";
import { NEW_SESSION } from "../sql/session.ts";
import type { Finding } from "./finding.ts";

/** What is lost for good, or reaches out of the database: nobody should get these alone. */
const GRAVE: readonly string[] = [
  "DROP DATABASE twokey_doctor",
  "DROP SCHEMA twokey_doctor CASCADE",
  "DROP TABLE twokey_doctor",
  "TRUNCATE twokey_doctor",
  "DELETE FROM twokey_doctor",
  "COPY twokey_doctor TO PROGRAM 'cat'",
];

interface Asked {
  readonly config: Config;
  /** `undefined` without such a file. */
  readonly signers: AllowedSigners | undefined;
  readonly at: Date;
}

/**
 * Where the configuration allows more than its reader would think, in production: the environments whose name says so,
 * or all where none does.
 */
export function checkConfig(asked: Asked): Finding[] {
  const { config } = asked;
  const environments = productionOf(config.environments);
  const databases = [...config.databases.values()].filter(({ place }) =>
    environments.includes(place.environment),
  );
  return [
    ...databases.flatMap((database) => checkAlone(database, asked)),
    ...checkAllowAll(config, environments),
    ...checkUnparsed(config, environments),
    ...checkApprovers(asked, environments),
    ...checkKeys(asked),
    ...checkSharedVerifiers(config),
    ...databases.filter(({ logins }) => logins.length === 0).map(withoutLogins),
    ...checkListening(config),
  ];
}

function productionOf(environments: readonly string[]): readonly string[] {
  const named = environments.filter((name) => /prod|live/i.test(name));
  return named.length > 0 ? named : environments;
}

/** By the policy itself: what would be decided, for everybody. */
function checkAlone({ place, neighbours, dialect }: Database, { config, at }: Asked): Finding[] {
  const client: Client = {
    address: undefined,
    applicationName: "psql",
    hasTls: true,
    method: "scram-sha-256",
  };
  const byRule = new Map<string, { people: Set<string>; statements: Set<string> }>();
  for (const principal of activeOf(config, at)) {
    for (const sql of GRAVE) {
      const classification = classify(sql, { dialect, session: NEW_SESSION });
      const { kind, name, roles } = principal;
      const decision = decide(config.policy, {
        classification,
        principal: { kind, name, roles },
        client,
        place,
        neighbours,
        at,
      });
      if (decision.action !== "allow") continue;
      const found = byRule.get(decision.rule) ?? { people: new Set(), statements: new Set() };
      byRule.set(decision.rule, found);
      found.people.add(name);
      found.statements.add(sql.replace("twokey_doctor", "..."));
    }
  }
  return [...byRule].map(([rule, { people, statements }]): Finding => ({
    check: "destroys-alone",
    severity: "critical",
    where: `database ${place.database}`,
    what: `rule ${rule} lets ${[...people].join(", ")} run alone: ${[...statements].join("; ")}`,
    why: "one mistake, or one stolen password, is enough",
    fix: `before rule ${rule}: { name: two-people-for-what-is-lost-for-good, environments: [${place.environment}], destructive: true, action: require_approval }`,
  }));
}

function checkAllowAll({ policy }: Config, environments: readonly string[]): Finding[] {
  return policy.rules
    .filter(
      ({ when, outcome }) =>
        outcome.action === "allow" &&
        (when.environments?.some((name) => environments.includes(name)) ?? true) &&
        asksNothingOfTheStatement(when),
    )
    .map(({ name }): Finding => ({
      check: "allow-all",
      severity: "high",
      where: "configuration",
      what: `rule ${name} allows whatever the rules before it leave`,
      why: "functions that hide what they do, privileges and server administration pass, too",
      fix: `rules: ${name}: effects: { only: [read, write, delete, ddl, session, transaction, copy_in, copy_out] }`,
    }));
}

function asksNothingOfTheStatement({ effects, objects, warnings }: Rule["when"]): boolean {
  return effects === undefined && objects === undefined && warnings === undefined;
}

function checkUnparsed({ policy }: Config, environments: readonly string[]): Finding[] {
  return environments
    .filter((name) => policy.unparsed.get(name)?.action === "ask_rules")
    .map((name): Finding => ({
      check: "unparsed-passes",
      severity: "medium",
      where: "configuration",
      what: `text that the grammar can't read is left to the rules in ${name}`,
      why: "what it would do is unknown",
      fix: `environments.${name}.unparsed: block`,
    }));
}

/** The requester's own key never counts, so a group of one can sign for everybody but its one member. */
function checkApprovers({ config, at }: Asked, environments: readonly string[]): Finding[] {
  const people = activeOf(config, at).filter(({ kind }) => kind === "person");
  return config.policy.rules.flatMap(({ name, when, outcome }): Finding[] => {
    if (outcome.action !== "require_approval") return [];
    if (when.environments?.some((known) => environments.includes(known)) === false) return [];
    const { approvers, signatures } = outcome.terms;
    const able = people.filter(({ roles }) => roles.some((role) => approvers.includes(role)));
    if (able.length > signatures && able.length >= 2) return [];
    return [
      {
        check: "too-few-approvers",
        severity: "medium",
        where: "configuration",
        what: `rule ${name} asks for ${signatures} of ${approvers.join(", ")}: ${able.map((person) => person.name).join(", ") || "nobody"}`,
        why: "nobody signs for themselves, so one of them asking, ill or gone is one too few; that is when people look for a way around",
        fix: `give ${approvers[0] ?? "an approver's role"} to ${Math.max(2, signatures + 1) - able.length} more of the people`,
      },
    ];
  });
}

function checkKeys({ signers, config }: Asked): Finding[] {
  const file = config.approvals.allowedSignersFile ?? "";
  const seen = new Map<string, string>();
  return (signers?.signers ?? []).flatMap(({ line, principals, key }): Finding[] => {
    const blob = key.blob.toString("base64");
    const earlier = seen.get(blob);
    seen.set(blob, principals);
    const findings: Finding[] = [];
    if (earlier !== undefined && earlier !== principals) {
      findings.push({
        check: "shared-signing-key",
        severity: "critical",
        where: "configuration",
        what: `${file} line ${line} gives ${principals} the key that ${earlier} has`,
        why: "one person with it is two",
        fix: "a key of its own for each person: ssh-keygen -t ed25519-sk",
      });
    }
    if (/[*?,]/.test(principals)) {
      findings.push({
        check: "key-of-many-names",
        severity: "high",
        where: "configuration",
        what: `${file} line ${line} lets one key sign as ${principals}`,
        why: "whoever has it signs in other people's names",
        fix: "name one person in each line",
      });
    }
    return findings;
  });
}

function checkSharedVerifiers({ principals }: Config): Finding[] {
  const seen = new Map<string, string>();
  return [...principals.values()].flatMap(({ name, verifier }): Finding[] => {
    if (verifier === undefined) return [];
    const earlier = seen.get(verifier.reveal());
    seen.set(verifier.reveal(), name);
    if (earlier === undefined) return [];
    return [
      {
        check: "shared-password",
        severity: "high",
        where: "configuration",
        what: `${earlier} and ${name} have the same verifier, so the same password`,
        why: "nobody can tell which of them it was",
        fix: `a password of its own for ${name}`,
      },
    ];
  });
}

function withoutLogins({ place: { database } }: Database): Finding {
  return {
    check: "one-role-for-all",
    severity: "medium",
    where: `database ${database}`,
    what: "everybody logs in on the server as one role",
    why: "the server can't stop for one person what it must let another do, such as SQL that a function makes",
    fix: `databases.${database}.logins, then: twokey provision --database ${database} --apply`,
  };
}

function checkListening({ listen }: Config): Finding[] {
  if (isLoopback(listen.host) || listen.tls.mode === "require") return [];
  return [
    {
      check: "no-tls",
      severity: listen.tls.mode === "off" ? "high" : "medium",
      where: "configuration",
      what: `Twokey listens on ${listen.host}, where TLS is ${listen.tls.mode === "off" ? "off" : "left to the frontend"}`,
      why: "statements and rows can be read and changed on their way",
      fix: "listen.tls: { mode: require, cert: FILE, key: FILE }",
    },
  ];
}

function activeOf({ principals }: Config, at: Date): readonly PrincipalConfig[] {
  return [...principals.values()].filter(
    ({ isDisabled, expiresAt }) => !isDisabled && (expiresAt === undefined || expiresAt > at),
  );
}
