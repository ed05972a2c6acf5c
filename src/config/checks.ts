import type { Config } from "./config.ts";
import { isLoopback } from "./host.ts";
import type { Mistake } from "./mistakes.ts";
import type { ConfigText } from "./schema.ts";
import { checkPrincipals } from "./check-principals.ts";
import { checkReachable } from "./unreachable.ts";

/** What is wrong although every part is right by itself. */
export function checkWhole(text: ConfigText, config: Config): Mistake[] {
  return [
    ...checkListening(text, config),
    ...checkLimits(text),
    ...checkApprovers(text, config),
    ...checkBackups(text),
    ...checkPrincipals(config),
    ...checkReachable(text),
  ];
}

function checkListening({ listen, admin }: ConfigText, { upstreams }: Config): Mistake[] {
  const mistakes: Mistake[] = [];
  if (listen.tls === undefined && !isLoopback(listen.host)) {
    mistakes.push({
      path: ["listen", "host"],
      of: "value",
      message:
        "can be reached from other machines without encryption: give tls {cert, key}, or say tls {mode: off} where something in front encrypts",
    });
  }
  if (listen.port !== 0 && listen.port === admin.port) {
    mistakes.push({
      path: ["listen", "port"],
      of: "value",
      message: "is the port that admin has; each needs its own",
    });
  }
  for (const { name, hosts } of upstreams.values()) {
    const isOurs = hosts.some(
      (host) =>
        host.kind === "tcp" &&
        host.port === listen.port &&
        (host.host === listen.host || isLoopback(host.host)),
    );
    if (!isOurs) continue;
    mistakes.push({
      path: ["upstreams", name],
      of: "key",
      message: `is Twokey itself (${listen.host}:${listen.port}); name the server behind it`,
    });
  }
  return mistakes;
}

function checkLimits({ limits }: ConfigText): Mistake[] {
  if (limits.max_statement <= limits.max_message) return [];
  return [
    {
      path: ["limits", "max_statement"],
      of: "value",
      message: "is larger than max_message, which a statement must fit into",
    },
  ];
}

/** Whoever asks for a signature must say whose, and enough people must be there who could give it. */
function checkApprovers(text: ConfigText, config: Config): Mistake[] {
  const asking = [
    ...config.policy.rules.map(({ outcome }, index) => ({
      path: ["rules", index],
      terms: outcome.action === "require_approval" ? outcome.terms : undefined,
    })),
    ...config.access.map(({ terms }, index) => ({ path: ["access", index], terms })),
    ...[...config.policy.unparsed].map(([name, treatment]) => ({
      path: ["environments", name, "unparsed"],
      terms: treatment.action === "require_approval" ? treatment.terms : undefined,
    })),
  ];
  return asking.flatMap(({ path, terms }): Mistake[] => {
    if (terms === undefined) return [];
    const problem = problemWithApprovers(text, terms);
    return problem === undefined ? [] : [{ path, of: "value", message: problem }];
  });
}

function problemWithApprovers(
  { approvals, people }: ConfigText,
  { approvers, signatures }: { readonly approvers: readonly string[]; readonly signatures: number },
): string | undefined {
  if (approvals.allowed_signers === undefined) {
    return "asks for an approval, so approvals.allowed_signers must say who signs with which key";
  }
  if (approvers.length === 0) {
    return "asks for an approval, but neither it nor approvals.defaults says who the approvers are";
  }
  const able = Object.values(people).filter(
    ({ roles, disabled }) => !disabled && roles.some((role) => approvers.includes(role)),
  ).length;
  if (able >= signatures) return undefined;
  return `asks for ${signatures} of ${approvers.join(", ")}, but only ${able} of the people could sign`;
}

function checkBackups({ backups, databases, rules }: ConfigText): Mistake[] {
  const names = Object.keys(backups.databases);
  const mistakes = names
    .filter((name) => databases[name] === undefined)
    .map((name): Mistake => ({
      path: ["backups", "databases", name],
      of: "key",
      message: `"${name}" is not in databases`,
    }));
  const asking = rules.findIndex((rule) => rule.action !== "block" && rule.backup !== undefined);
  if (asking >= 0 && names.length === 0) {
    mistakes.push({
      path: ["rules", asking, "backup"],
      of: "key",
      message:
        "asks for a backup, but backups.databases has none: nothing would ever be let through",
    });
  }
  if (names.length > 0 && backups.encryption === undefined) {
    mistakes.push({
      path: ["backups"],
      of: "key",
      message:
        "needs encryption: give {recipients: [age1…]}, which `twokey backup key` makes, or say off",
    });
  }
  return mistakes;
}
