import type { Finding } from "./finding.ts";
import type { HbaRule, RoleFact } from "./server-facts.ts";

interface AccessFacts {
  /** `upstream main` */
  readonly where: string;
  readonly rules: readonly HbaRule[];
  readonly roles: readonly RoleFact[];
  /** The roles that Twokey logs in as. */
  readonly own: readonly string[];
  /** The databases behind Twokey, by their names on the server. */
  readonly databases: readonly string[];
}

/**
 * Who else gets into the server, by pg_hba.conf. What comes from the server's own machine is not our matter: whoever
 * has a shell there has the data, too.
 */
export function checkAccess(facts: AccessFacts): Finding[] {
  return facts.rules
    .filter((rule, index) => {
      const isShadowed = facts.rules.slice(0, index).some((earlier) => covers(earlier, rule));
      return rule.method !== "reject" && !isShadowed;
    })
    .flatMap((rule) => checkRule(rule, facts));
}

function checkRule(rule: HbaRule, facts: AccessFacts): Finding[] {
  const { where, own } = facts;
  const at = `${rule.file} line ${rule.line} (${show(rule)})`;
  const admitted = admittedBy(rule, facts.roles);
  if (!concerns(rule, admitted, facts.databases) || admitted.length === 0) return [];
  const findings: Finding[] = [];
  const report = (finding: Omit<Finding, "where">): void => {
    findings.push({ where, ...finding });
  };
  if (rule.method === "trust") {
    report({
      check: "login-without-password",
      severity: "critical",
      what: `${at} lets ${list(admitted)} in without any password`,
      why: "whoever reaches the port is whoever they say they are",
      fix: `replace trust by scram-sha-256 in that line, then: SELECT pg_reload_conf();`,
    });
  }
  if (isFromHere(rule)) return findings;
  if (["password", "ident", "md5"].includes(rule.method)) {
    report({
      check: "weak-authentication",
      severity: rule.method === "md5" ? "medium" : "high",
      what: `${at} authenticates by ${rule.method}`,
      why: {
        password: "the password itself crosses the network",
        ident: "the other machine says who it is",
        md5: "an md5 verifier works as its password for whoever steals it",
      }[rule.method as "password" | "ident" | "md5"],
      fix: "replace the method by scram-sha-256 in that line, then: SELECT pg_reload_conf();",
    });
  }
  if (rule.type !== "hostssl" && rule.type !== "hostgssenc") {
    report({
      check: "unencrypted-way",
      severity: "high",
      what: `${at} takes connections without TLS`,
      why: "statements and rows can be read and changed on their way",
      fix: "write hostssl in that line, then: SELECT pg_reload_conf();",
    });
  }
  const others = admitted.filter(({ name }) => !own.includes(name));
  const superusers = others.filter(({ isSuperuser }) => isSuperuser);
  if (others.length > 0) {
    report({
      check: "way-around",
      severity: superusers.length > 0 ? "critical" : "high",
      what: `${at} lets ${list(superusers.length > 0 ? superusers : others)} in from ${from(rule)}, around Twokey`,
      why:
        superusers.length > 0
          ? "a superuser who doesn't come through Twokey needs nobody's signature, and leaves no record here"
          : "who doesn't come through Twokey needs nobody's signature, and leaves no record here",
      fix: lineFor(rule, facts),
    });
  } else if (!isOneHost(rule)) {
    report({
      check: "open-to-many-addresses",
      severity: "medium",
      what: `${at} lets Twokey's own ${list(admitted)} in from ${from(rule)}`,
      why: "a leaked password of it would be good elsewhere, too",
      fix: lineFor(rule, facts),
    });
  }
  return findings;
}

function lineFor(rule: HbaRule, { own, databases }: AccessFacts): string {
  const address = isOneHost(rule) ? (rule.address ?? "") : "ADDRESS-OF-TWOKEY";
  const mask = address.includes(":") ? "/128" : "/32";
  return `replace it by: hostssl ${databases.join(",")} ${own.join(",")} ${address}${/^[\d.]+$|:|ADDRESS/.test(address) ? mask : ""} scram-sha-256 (then: SELECT pg_reload_conf();)`;
}

function concerns(
  { databases }: HbaRule,
  admitted: readonly RoleFact[],
  ours: readonly string[],
): boolean {
  if (admitted.some(({ isSuperuser, canReplicate }) => isSuperuser || canReplicate)) return true;
  return databases.some(
    (name) =>
      ["all", "sameuser", "samerole", "samegroup"].includes(name) ||
      name.startsWith("/") ||
      ours.includes(name),
  );
}

/** By a group or a pattern it might be anybody: this errs towards telling. */
function admittedBy({ users, databases }: HbaRule, roles: readonly RoleFact[]): RoleFact[] {
  const isForAll = users.some((user) => user === "all" || /^[+/]/.test(user));
  const isReplication = databases.every((name) => name === "replication");
  return roles.filter(
    ({ name, canLogin, isSuperuser, canReplicate }) =>
      canLogin &&
      (isForAll || users.includes(name)) &&
      (!isReplication || isSuperuser || canReplicate),
  );
}

/** Whether every connection that the later one means is decided by the earlier. */
function covers(earlier: HbaRule, later: HbaRule): boolean {
  const isWider = (wide: readonly string[], narrow: readonly string[]): boolean =>
    wide.includes("all") || narrow.every((name) => wide.includes(name));
  const isAllDatabases = later.databases.includes("replication")
    ? earlier.databases.includes("replication")
    : true;
  const isSameKind =
    earlier.type === later.type || (earlier.type === "host" && later.type.startsWith("host"));
  const isSameAddress =
    earlier.address === "all" ||
    (earlier.address === later.address && earlier.netmask === later.netmask) ||
    (earlier.netmask === "0.0.0.0" && later.netmask?.includes(".") === true) ||
    (earlier.netmask === "::" && later.netmask?.includes(":") === true);
  return (
    isSameKind &&
    isSameAddress &&
    isAllDatabases &&
    isWider(earlier.databases, later.databases) &&
    isWider(earlier.users, later.users)
  );
}

function isFromHere({ type, address, netmask }: HbaRule): boolean {
  if (type === "local" || address === "localhost" || address === "samehost") return true;
  if (address === "::1") return netmask === ONE_IPV6;
  return address?.startsWith("127.") === true && netmask?.startsWith("255.") === true;
}

const ONE_IPV6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

function isOneHost({ address, netmask }: HbaRule): boolean {
  if (netmask !== null) return netmask === "255.255.255.255" || netmask === ONE_IPV6;
  return address !== null && !["all", "samenet"].includes(address) && !address.startsWith(".");
}

function from(rule: HbaRule): string {
  const { address, netmask } = rule;
  if (address === "all" || netmask === "0.0.0.0" || netmask === "::") return "any address";
  return isOneHost(rule) || netmask === null ? (address ?? "") : `${address ?? ""} (${netmask})`;
}

function show({ type, databases, users, address, netmask, method }: HbaRule): string {
  const place = [address, netmask].filter((part) => part !== null);
  return [type, databases.join(","), users.join(","), ...place, method].join(" ");
}

function list(roles: readonly RoleFact[]): string {
  const names = roles.map(({ name }) => name);
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  return `${names.slice(0, 5).join(", ")}${more}`;
}
