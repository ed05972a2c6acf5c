import { readFileSync } from "node:fs";
import { parseAllowedSigners } from "../approvals/allowed-signers.ts";
import { TwokeyError } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";
import type { Config, Database, Upstream } from "../config/config.ts";
import { credentialWarning, loadCredential } from "../upstream/credential.ts";
import type { Administrator } from "./administrator.ts";
import { checkAccess } from "./check-access.ts";
import { checkConfig } from "./check-config.ts";
import { checkPasswords } from "./check-passwords.ts";
import { checkRoles, type OwnRole } from "./check-roles.ts";
import { checkServer } from "./check-server.ts";
import { credentialOf, credentialsOf, isSameServer } from "./credentials.ts";
import { sortFindings, type Diagnosis, type Finding, type Unseen } from "./finding.ts";
import { openAs, openAsAdministrator } from "./open-session.ts";
import { readFacts, type ServerFacts } from "./server-facts.ts";

interface Examination {
  /** Whose databases are looked at; `undefined`: all. */
  readonly upstream: string | undefined;
  /** Who may see passwords' verifiers and pg_hba.conf; `undefined`: Twokey's own role. */
  readonly administrator: Administrator | undefined;
  readonly at: Date;
}

/**
 * Looks for the ways around Twokey: in every database that the configuration names, on their servers, and in the
 * configuration itself. Changes nothing.
 */
export async function examine(
  config: Config,
  { upstream: chosen, administrator, at }: Examination,
): Promise<Diagnosis> {
  const findings: Finding[] = [];
  const unseen: Unseen[] = [];
  const file = config.approvals.allowedSignersFile;
  const signers = file === undefined ? undefined : parseAllowedSigners(readFileSync(file, "utf8"));
  findings.push(...checkConfig({ config, signers, at }), ...(await checkFiles(config)));
  for (const [name, database] of config.databases) {
    if (chosen !== undefined && database.upstream !== chosen) continue;
    const upstream = config.upstreams.get(database.upstream);
    if (upstream === undefined) throw new Error(`database ${name} has no upstream`);
    if (database.dialect !== "postgresql") {
      unseen.push({ check: "all", where: `database ${name}`, why: "it is not a PostgreSQL" });
      continue;
    }
    try {
      const facts = await look(database, upstream, administrator);
      findings.push(...(await judge({ name, database, upstream, facts, config })));
      unseen.push(...hidden(facts, `upstream ${upstream.name}`));
    } catch (error) {
      if (!(error instanceof TwokeyError)) throw error;
      unseen.push({ check: "all", where: `database ${name}`, why: error.message });
    }
  }
  const once = new Map(unseen.map((one) => [`${one.check} ${one.where}`, one]));
  return { findings: sortFindings(findings), unseen: [...once.values()] };
}

async function look(
  { place }: Database,
  upstream: Upstream,
  administrator: Administrator | undefined,
): Promise<ServerFacts> {
  const where = { upstream, database: place.serverDatabase };
  const session =
    administrator === undefined
      ? await openAs(credentialOf(upstream), where)
      : await openAsAdministrator(administrator, where);
  try {
    return await readFacts(session);
  } finally {
    session.close();
  }
}

interface Looked {
  readonly name: string;
  readonly database: Database;
  readonly upstream: Upstream;
  readonly facts: ServerFacts;
  readonly config: Config;
}

async function judge({ name, database, upstream, facts, config }: Looked): Promise<Finding[]> {
  const where = `upstream ${upstream.name}`;
  const { serverDatabase } = database.place;
  const here = credentialsOf(config).filter((credential) => {
    const its = config.upstreams.get(credential.upstream);
    return its !== undefined && isSameServer(its, upstream);
  });
  const users = [...new Set(here.map(({ user }) => user))];
  const databases = [...config.databases.values()]
    .filter((other) => {
      const its = config.upstreams.get(other.upstream);
      return its !== undefined && isSameServer(its, upstream);
    })
    .map(({ place }) => place.serverDatabase);
  const own: OwnRole[] = [
    { user: upstream.user, may: undefined },
    ...database.logins.filter(({ user }) => user !== upstream.user),
  ];
  const { roles, hba, passwords } = facts;
  const others = [...config.upstreams.values()].filter((other) => other !== upstream);
  return [
    ...checkRoles({ upstream: upstream.name, database: name, serverDatabase, roles, own }),
    ...checkServer({ upstream, others, database: name, serverDatabase, facts }),
    ...(hba === undefined ? [] : checkAccess({ where, rules: hba, roles, own: users, databases })),
    ...(passwords === undefined
      ? []
      : await checkPasswords({ where, passwords, known: knownPasswords(here) })),
  ];
}

function knownPasswords(
  credentials: ReturnType<typeof credentialsOf>,
): ReadonlyMap<string, Secret> {
  return new Map(
    credentials.flatMap(({ user, source }) =>
      source === undefined ? [] : [[user, loadCredential(source)] as const],
    ),
  );
}

async function checkFiles(config: Config): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { source, user, upstream } of credentialsOf(config)) {
    if (source?.from !== "file") continue;
    const warning = await credentialWarning(source);
    if (warning === undefined) continue;
    findings.push({
      check: "readable-password-file",
      severity: "high",
      where: `upstream ${upstream}`,
      what: warning,
      why: `whoever can log in on this machine has the password of ${user}`,
      fix: `chmod 600 ${source.path}, then: twokey rotate --upstream ${upstream}`,
    });
  }
  return findings;
}

function hidden({ hba, passwords }: ServerFacts, where: string): Unseen[] {
  const why = "only a superuser may look: --as-admin env:NAME or file:PATH";
  return [
    ...(hba === undefined ? [{ check: "way-around", where, why }] : []),
    ...(passwords === undefined ? [{ check: "weak-verifier", where, why }] : []),
  ];
}
