import type { Upstream } from "../config/config.ts";
import { isLoopback } from "../config/host.ts";
import type { Finding, Severity } from "./finding.ts";
import type { ServerFacts } from "./server-facts.ts";
import { identifier } from "./sql-text.ts";

interface Facts {
  readonly upstream: Upstream;
  readonly others: readonly Upstream[];
  readonly database: string;
  readonly serverDatabase: string;
  readonly facts: ServerFacts;
}

/** What the server as a whole, and one database of it, leave open to everybody. */
export function checkServer(all: Facts): Finding[] {
  return [
    ...checkPublic(all),
    ...checkPrograms(all),
    ...checkSettings(all),
    ...checkTls(all),
    ...checkReplicas(all),
  ];
}

function checkPublic({ database, facts }: Facts): Finding[] {
  return facts.publicPrivileges.map(({ on, privileges }): Finding => ({
    check: "public-privilege",
    severity: on.startsWith("DATABASE") ? "medium" : "high",
    where: `database ${database}`,
    what: `PUBLIC, which is every role, has ${privileges} on ${on}`,
    why: on.startsWith("ROUTINE")
      ? "it runs as its owner, whoever calls it"
      : "what everybody has can be taken from nobody",
    fix: `REVOKE ${privileges} ON ${on} FROM PUBLIC;`,
  }));
}

/** Extensions by which SQL reaches programs, files or other servers. */
const REACHING: ReadonlyMap<string, readonly [severity: Severity, why: string]> = new Map([
  ["adminpack", ["high", "it writes and removes files of the server"]],
  [
    "dblink",
    ["medium", "SQL in a string runs on another connection, where no parser of ours sees it"],
  ],
  ["file_fdw", ["high", "its tables read the output of programs that it starts"]],
  ["http", ["medium", "rows leave for any URL"]],
  [
    "pg_background",
    ["high", "SQL in a string runs in another process, where no parser of ours sees it"],
  ],
  ["pg_cron", ["high", "what is scheduled runs later, when nobody is asked"]],
  ["pg_net", ["medium", "rows leave for any URL"]],
  ["plsh", ["critical", "its functions are shell scripts on the server"]],
  ["postgres_fdw", ["medium", "rows are read and written on another server"]],
]);

function checkPrograms({ database, facts: { languages, extensions } }: Facts): Finding[] {
  const where = `database ${database}`;
  return [
    ...languages.map((name): Finding => ({
      check: "untrusted-language",
      severity: "critical",
      where,
      what: `the language ${name} is there, which is untrusted`,
      why: "a function in it does on the server's machine whatever the server's account may",
      fix: `DROP LANGUAGE ${identifier(name)}; -- or, where it came with one: DROP EXTENSION`,
    })),
    ...extensions.flatMap((name): Finding[] => {
      const [severity, why] = REACHING.get(name) ?? [];
      if (severity === undefined || why === undefined) return [];
      return [
        {
          check: "reaching-extension",
          severity,
          where,
          what: `the extension ${name} is there`,
          why,
          fix: `DROP EXTENSION ${identifier(name)};`,
        },
      ];
    }),
  ];
}

function checkSettings({ upstream, facts }: Facts): Finding[] {
  const where = `upstream ${upstream.name}`;
  const stored = facts.hiddenSettings.map(({ name, value, role, database }): Finding => {
    const of = [
      role === null ? (database === null ? "ROLE ALL" : "") : `ROLE ${identifier(role)}`,
      database === null ? "" : `${role === null ? "" : "IN "}DATABASE ${identifier(database)}`,
    ]
      .filter((part) => part !== "")
      .join(" ");
    return {
      check: "hidden-setting",
      severity: "high",
      where,
      what: `${name} = ${value} is stored for ${of}`,
      why: "it changes how statements are read, or whose code runs at log-in, and nobody sees it in a session",
      fix: `ALTER ${of} RESET ${identifier(name)};`,
    };
  });
  if (facts.settings.get("password_encryption") !== "md5") return stored;
  return [
    ...stored,
    {
      check: "weak-verifier",
      severity: "medium",
      where,
      what: "new passwords are kept as md5",
      why: "an md5 verifier works as its password for whoever steals it",
      fix: "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf();",
    },
  ];
}

function checkTls({ upstream, facts: { settings } }: Facts): Finding[] {
  const where = `upstream ${upstream.name}`;
  const findings: Finding[] = [];
  const addresses = (settings.get("listen_addresses") ?? "").split(",").map((part) => part.trim());
  const isFar = addresses.some((address) => address !== "" && !isLoopback(address));
  if (settings.get("ssl") === "off" && isFar) {
    findings.push({
      check: "no-tls",
      severity: "high",
      where,
      what: `the server listens on ${addresses.join(", ")} without TLS`,
      why: "statements, rows and log-ins can be read and changed on their way",
      fix: "ALTER SYSTEM SET ssl = on; with ssl_cert_file and ssl_key_file; SELECT pg_reload_conf();",
    });
  }
  const { mode } = upstream.tls;
  const isRemote = upstream.hosts.some((host) => host.kind === "tcp" && !isLoopback(host.host));
  if (isRemote && mode !== "verify-full") {
    findings.push({
      check: "upstream-not-verified",
      severity: mode === "disable" || mode === "prefer" ? "high" : "medium",
      where,
      what: `Twokey connects with tls.mode ${mode}`,
      why:
        mode === "disable" || mode === "prefer"
          ? "whoever is in between reads and changes what is sent"
          : "whoever is in between could be taken for the server",
      fix: `upstreams.${upstream.name}.tls: { mode: verify-full, ca: FILE }`,
    });
  }
  return findings;
}

function checkReplicas({ upstream, others, facts: { replicas, logicalSlots } }: Facts): Finding[] {
  const where = `upstream ${upstream.name}`;
  const known = [upstream, ...others].flatMap(({ hosts }) =>
    hosts.flatMap((host) => (host.kind === "tcp" ? [host.host] : [])),
  );
  return [
    ...replicas
      .filter(({ address }) => !known.includes(address))
      .map(({ address }): Finding => ({
        check: "unknown-replica",
        severity: "medium",
        where,
        what: `a replica at ${address} receives everything, and no upstream here is it`,
        why: "its own pg_hba.conf says who reads there, around Twokey",
        fix: `name ${address} among upstreams.${upstream.name}.hosts, or as an upstream, and run doctor on it`,
      })),
    ...logicalSlots.map((name): Finding => ({
      check: "logical-slot",
      severity: "medium",
      where,
      what: `the logical replication slot ${name} hands out every change`,
      why: "who reads it has the rows, around Twokey",
      fix: `SELECT pg_drop_replication_slot('${name}'); -- unless you know who reads it`,
    })),
  ];
}
