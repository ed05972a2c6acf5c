import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/mistakes.ts";
import { readSecret } from "../../src/config/secret-source.ts";

const VERIFIER = `SCRAM-SHA-256$4096:${"s".repeat(22)}==$${"A".repeat(43)}=:${"B".repeat(43)}=`;
const ENV = { UPSTREAM_PASSWORD: "correct horse" };

const GOOD = `
upstreams:
  main: { host: db.example, user: twokey, password: { env: UPSTREAM_PASSWORD } }
databases:
  shop: { upstream: main, environment: production }
environments:
  production: {}
roles: [senior, lead]
people:
  alice: { roles: [senior], verifier_file: alice.verifier }
  bob: { roles: [lead] }
approvals: { allowed_signers: signers }
rules:
  - name: sign
    destructive: true
    action: require_approval
    approval: { approvers: [lead] }
  - name: work
    action: allow
`;

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "twokey-config-"));
  writeFileSync(join(directory, "alice.verifier"), `${VERIFIER}\n`);
  writeFileSync(join(directory, "not.verifier"), "hunter2\n");
  writeFileSync(join(directory, "signers"), "");
  writeFileSync(join(directory, "password"), "battery staple\n");
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

function load(text: string): Config {
  const file = join(directory, "twokey.yaml");
  writeFileSync(file, text);
  return loadConfig(file, { env: ENV });
}

/** The mistakes, without the name of the file. */
function mistakesIn(text: string): string[] {
  try {
    load(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.mistakes.map((line) => line.replace(join(directory, "twokey.yaml:"), ""));
  }
  return [];
}

/** GOOD with one piece replaced. */
function but(piece: string, replacement: string): string {
  expect(GOOD).toContain(piece);
  return GOOD.replace(piece, replacement);
}

describe("a good file", () => {
  test("gives its values, and the defaults for what it leaves out", () => {
    const config = load(GOOD);
    expect(config.listen).toEqual({
      host: "127.0.0.1",
      port: 6543,
      unixSocketDirectory: undefined,
      tls: { mode: "off" },
    });
    expect(config.admin).toMatchObject({ host: "127.0.0.1", port: 9188, operators: [] });
    expect(config.upstreams.get("main")).toMatchObject({
      hosts: [{ kind: "tcp", host: "db.example", port: 5432 }],
      targetSessionAttrs: "any",
      tls: { mode: "verify-full" },
      connectTimeoutMs: 10_000,
    });
    expect(config.databases.get("shop")).toMatchObject({
      dialect: "postgresql",
      place: { database: "shop", serverDatabase: "shop", environment: "production" },
      neighbours: [],
    });
    expect(config.environments).toEqual(["production"]);
    expect(config.principals.get("alice")).toMatchObject({ kind: "person", roles: ["senior"] });
    expect(config.principals.get("alice")?.verifier?.reveal()).toBe(VERIFIER);
    expect(config.principals.get("bob")?.verifier).toBeUndefined();
    expect(config.store).toEqual({ kind: "sqlite", file: join(directory, "data/twokey.db") });
    expect(config.audit).toMatchObject({
      directory: join(directory, "data/audit"),
      durability: "normal",
      parameters: "none",
      rotate: { sizeBytes: 2 ** 28, afterMs: 86_400_000 },
    });
    expect(config.limits).toEqual({
      logins: {
        perPerson: 10,
        perAddress: 100,
        windowMs: 600_000,
        lockForMs: 600_000,
        shortLivedMs: 43_200_000,
        delayMs: 250,
      },
      startupTimeoutMs: 30_000,
      maxMessageBytes: 256 * 2 ** 20,
      maxStatementBytes: 8 * 2 ** 20,
      connections: { total: 1000, perAddress: 500, perPerson: 200 },
      maxNamedObjects: 10_000,
      idleInTransactionMs: undefined,
    });
    expect(config.policy.unparsed.get("production")).toEqual({ action: "block" });
    expect(config.policy.rules[0]?.outcome).toEqual({
      action: "require_approval",
      message: undefined,
      hint: undefined,
      terms: {
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
      },
    });
  });

  test("is frozen", () => {
    const config = load(GOOD);
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.limits.connections)).toBe(true);
    expect(Object.isFrozen(config.principals.get("alice")?.roles)).toBe(true);
    expect(Object.isFrozen(config.policy.rules[0]?.when)).toBe(true);
  });

  test("shows no verifier when printed", () => {
    expect(inspect(load(GOOD), { depth: 9 })).not.toContain("SCRAM");
    expect(JSON.stringify([...load(GOOD).principals.values()])).not.toContain("SCRAM");
  });

  test("takes the terms of an approval from approvals.defaults where a rule says nothing", () => {
    const text = but(
      "approvals: { allowed_signers: signers }",
      "approvals: { allowed_signers: signers, defaults: { max_validity: 10m, reason: true, wait: hold, hold_for: 90s, max_uses: 3 } }",
    );
    expect(load(text).policy.rules[0]?.outcome).toMatchObject({
      terms: {
        maxValiditySeconds: 600,
        isReasonRequired: true,
        parameters: "exact",
        waits: "hold",
        holdSeconds: 90,
        breakGlass: [],
        freezes: [],
        recycleSeconds: 0,
        maxUses: 3,
      },
    });
  });

  test("knows databases on the same server, whatever their upstream is called", () => {
    const text = but(
      "databases:",
      `  again: { hosts: ["DB.example:5432", "[::1]:5433"], user: other }
databases:
  shop_dev: { upstream: again, environment: development, database: sandbox }`,
    ).replace("production: {}", "production: {}\n  development: {}");
    const config = load(text);
    expect(config.databases.get("shop")?.neighbours).toEqual([
      { database: "shop_dev", serverDatabase: "sandbox", environment: "development" },
    ]);
    expect(config.upstreams.get("again")?.hosts[1]).toEqual({
      kind: "tcp",
      host: "::1",
      port: 5433,
    });
  });

  test("knows a Unix socket by its directory", () => {
    const text = but("host: db.example,", "host: /run/postgresql, port: 5433,");
    expect(load(text).upstreams.get("main")?.hosts).toEqual([
      { kind: "unix", path: "/run/postgresql/.s.PGSQL.5433" },
    ]);
  });

  test("takes all ways to this machine for one server", () => {
    const text = but("host: db.example,", "host: localhost,")
      .replace(
        "databases:",
        "  b: { host: /run/postgresql, user: x }\n  c: { host: 127.0.0.1, user: x }\ndatabases:",
      )
      .replace(
        "environment: production }",
        "environment: production }\n  b: { upstream: b, environment: production }\n  c: { upstream: c, environment: production }",
      );
    const names = load(text)
      .databases.get("shop")
      ?.neighbours.map(({ database }) => database);
    expect(names).toEqual(["b", "c"]);
  });

  test("lets a rule stand behind one with an exception", () => {
    const text = but("name: work\n", "name: work\n    unless: { roles: [lead] }\n");
    expect(mistakesIn(`${text}  - { name: late, roles: [lead], action: block }\n`)).toEqual([]);
  });

  test("hands on what is known of functions, operators and types", () => {
    const { catalogue } = load(
      `${GOOD}catalogue: { functions: { app.total: harmless, archive: [write, delete] }, types: [citext] }\n`,
    );
    expect(catalogue.functions?.get("app.total")).toBe("harmless");
    expect(catalogue.functions?.get("archive")).toEqual(["write", "delete"]);
    expect(catalogue.types?.has("citext")).toBe(true);
  });

  test("reads every condition of a rule", () => {
    const text = but(
      "  - name: work\n",
      `  - name: everything
    environments: [production]
    databases: [shop]
    roles: [senior]
    people: [alice]
    effects: { any: [read], all: [read], only: [read, write] }
    destructive: false
    objects: { any: [{ kind: table }], only: [{ schema: public, name: "o*" }] }
    warnings: ["*"]
    clients: [local, 10.0.0.0/8]
    application_names: [psql]
    tls: true
    auth_methods: [certificate]
    during: { days: [mon], hours: ["08:00-18:00"], time_zone: Europe/Madrid }
    unless: { workloads: [job] }
    message: because
    hint: instead
    action: block
  - name: work
`,
    ).replace("approvals:", "workloads:\n  job: { roles: [senior] }\napprovals:");
    const [, rule] = load(text).policy.rules;
    expect(rule).toMatchObject({
      name: "everything",
      when: {
        environments: ["production"],
        databases: ["shop"],
        roles: ["senior"],
        people: ["alice"],
        effects: { any: ["read"], all: ["read"], only: ["read", "write"] },
        destructive: false,
        objects: { any: [{ kind: "table" }], only: [{ schema: "public", name: "o*" }] },
        warnings: ["*"],
        clients: ["local", { hostBits: 24n }],
        applicationNames: ["psql"],
        tls: true,
        methods: ["certificate"],
        during: { days: ["mon"], windows: [{ fromMinute: 480, toMinute: 1080 }] },
      },
      unless: { workloads: ["job"] },
      outcome: { action: "block", message: "because", hint: "instead" },
    });
    expect(load(text).policy.dependsOnTime).toBe(true);
  });
});

test.each<[why: string, text: () => string, ...mistakes: string[]]>([
  [
    "an unknown key",
    () => but("host: db", "hots: db"),
    '3:11 upstreams.main.hots - is not known here; did you mean "host"?',
    "3:9 upstreams.main - needs either host or hosts",
  ],
  [
    "a missing section",
    () => but("roles: [senior, lead]", ""),
    "2:1 roles - is missing: must be a list",
  ],
  [
    "a wrong type",
    () => but("roles: [senior, lead]", "roles: senior"),
    "8:8 roles - must be a list, not a string",
  ],
  [
    "a mistyped choice",
    () => but("production: {}", "production: { unparsed: blok }"),
    '7:27 environments.production.unparsed - must be one of block, require_approval, ask_rules; did you mean "block"?',
  ],
  [
    "a mistyped action",
    () => but("action: allow", "action: alow"),
    '19:13 rules.1.action - must be one of allow, block, require_approval; did you mean "allow"?',
  ],
  [
    "a port that is none",
    () => `${GOOD}listen: { port: 65536 }\n`,
    "20:17 listen.port - must be at most 65535",
  ],
  [
    "a port given twice",
    () => `${GOOD}listen: { port: 9188 }\n`,
    "20:17 listen.port - is the port that admin has; each needs its own",
  ],
  [
    "an unknown upstream",
    () => but("upstream: main", "upstream: mian"),
    '5:21 databases.shop.upstream - "mian" is not in upstreams; did you mean "main"?',
  ],
  [
    "an unknown environment",
    () => but("environment: production", "environment: live"),
    '5:40 databases.shop.environment - "live" is not in environments',
  ],
  [
    "an unknown role",
    () => but("approvers: [lead]", "approvers: [leed]"),
    '17:29 rules.0.approval.approvers.0 - "leed" is not in roles; did you mean "lead"?',
  ],
  [
    "an unknown name in an exception",
    () => but("name: work\n", "name: work\n    unless: { people: [alicia] }\n"),
    '19:24 rules.1.unless.people.0 - "alicia" is not in people; did you mean "alice"?',
  ],
  [
    "a rule named twice",
    () => but("name: work", "name: sign"),
    '18:11 rules.1.name - "sign" is given twice; names are unique',
  ],
  [
    "a person who is a workload, too",
    () => `${GOOD}workloads: { bob: { roles: [lead] } }\n`,
    "20:14 workloads.bob - is a person already; who logs in must be one or the other",
  ],
  [
    "a password in the file",
    () => but("{ env: UPSTREAM_PASSWORD }", "hunter2"),
    "3:53 upstreams.main.password - a secret does not belong in this file: say {env: NAME} or {file: PATH}",
  ],
  [
    "a variable that is not set",
    () => but("UPSTREAM_PASSWORD", "UPSTREAM_PASWORD"),
    "3:60 upstreams.main.password.env - environment variable UPSTREAM_PASWORD is not set",
  ],
  ["a file that is not there", () => but("signers }", "singers }"), "DIR/singers does not exist"],
  ["a directory for a file", () => but("signers }", ". }"), "DIR is not a file"],
  [
    "a password for a verifier",
    () => but("verifier_file: alice.verifier", "verifier: hunter2"),
    "10:39 people.alice.verifier - must be a SCRAM-SHA-256 verifier as PostgreSQL stores it, of at least 4096 iterations; not a password",
  ],
  [
    "a password in a verifier's file",
    () => but("alice.verifier", "not.verifier"),
    "10:44 people.alice.verifier_file - DIR/not.verifier must be a SCRAM-SHA-256 verifier as PostgreSQL stores it, of at least 4096 iterations; not a password",
  ],
  [
    "a verifier of too few iterations",
    () => but("verifier_file: alice.verifier", `verifier: ${VERIFIER.replace("4096", "1024")}`),
    "10:39 people.alice.verifier - must be a SCRAM-SHA-256 verifier as PostgreSQL stores it, of at least 4096 iterations; not a password",
  ],
  [
    "a day that is none",
    () => but("bob: { roles: [lead] }", "bob: { roles: [lead], expires: 2027-02-30 }"),
    "11:34 people.bob.expires - is no day of the calendar",
  ],
  [
    "a duration without its unit",
    () => `${GOOD}limits: { startup_timeout: 30 }\n`,
    "20:28 limits.startup_timeout - must be a duration such as 500ms, 30s, 15m, 24h or 7d",
  ],
  [
    "a message larger than any",
    () => `${GOOD}limits: { max_message: 1GiB }\n`,
    "20:24 limits.max_message - must be below 1GiB, PostgreSQL's own limit",
  ],
  [
    "limits that contradict each other",
    () => `${GOOD}limits: { max_message: 1MiB, max_statement: 2MiB }\n`,
    "20:45 limits.max_statement - is larger than max_message, which a statement must fit into",
  ],
  [
    "two stores",
    () => `${GOOD}store: { sqlite: a, postgres: { env: UPSTREAM_PASSWORD } }\n`,
    "20:8 store - needs either sqlite or postgres",
  ],
  [
    "a name that other formats would misread",
    () => but("  alice:", '  "alice,*":'),
    "10:3 people.alice,* - must be a name of at most 63 letters, digits, and _ . @ + -",
  ],
  [
    "an open door",
    () => `${GOOD}listen: { host: 0.0.0.0 }\n`,
    "20:17 listen.host - can be reached from other machines without encryption: give tls {cert, key}, or say tls {mode: off} where something in front encrypts",
  ],
  [
    "TLS without a certificate",
    () => `${GOOD}listen: { tls: {} }\n`,
    "20:16 listen.tls - needs cert and key, unless mode is off",
  ],
  [
    "an upstream that is Twokey itself",
    () => but("host: db.example,", "host: localhost, port: 6543,"),
    "3:3 upstreams.main - is Twokey itself (127.0.0.1:6543); name the server behind it",
  ],
  [
    "an allow that says too little",
    () => but("action: allow", "effects: { any: [read] }\n    action: allow"),
    "19:14 rules.1.effects - allow must say only: what it has besides would pass as well",
  ],
  [
    "an exception that says too little",
    () =>
      but(
        "action: require_approval",
        "unless: { objects: { any: [{ schema: tmp }] } }\n    action: require_approval",
      ),
    "16:24 rules.0.unless.objects - an exception must say only: what it has besides would pass as well",
  ],
  [
    "an approval's terms in a rule that asks for none",
    () => but("action: allow", "approval: {}\n    action: allow"),
    "19:5 rules.1.approval - is not known here",
  ],
  [
    "a rule behind one that takes all",
    () => `${GOOD}  - { name: late, roles: [senior], action: block }\n`,
    "20:13 rules.2.name - is never reached: work above it takes everything that it would match",
  ],
  [
    "a rule behind a wider list",
    () =>
      but(
        "  - name: work",
        "  - { name: narrow, destructive: true, effects: { any: [ddl] }, action: block }\n  - name: work",
      ),
    "18:13 rules.1.name - is never reached: sign above it takes everything that it would match",
  ],
  [
    "a rule about databases that are elsewhere",
    () =>
      but("production: {}", "production: {}\n  staging: {}").replace(
        "name: sign\n",
        "name: sign\n    databases: [shop]\n    environments: [staging]\n",
      ),
    "15:11 rules.0.name - never matches: none of its databases is in staging",
  ],
  [
    "a rule that contradicts itself",
    () => but("destructive: true", "effects: { any: [ddl], only: [read] }"),
    "14:11 rules.0.name - never matches: it asks for an effect that its only leaves out",
  ],
  [
    "a signature that nobody could give",
    () => but("approvers: [lead]", "approvers: [lead], signatures: 2"),
    "14:5 rules.0 - asks for 2 of lead, but only 1 of the people could sign",
  ],
  [
    "a signature that only a disabled person could give",
    () => but("bob: { roles: [lead] }", "bob: { roles: [lead], disabled: true }"),
    "14:5 rules.0 - asks for 1 of lead, but only 0 of the people could sign",
  ],
  [
    "an approval without approvers",
    () => but("    approval: { approvers: [lead] }\n", ""),
    "14:5 rules.0 - asks for an approval, but neither it nor approvals.defaults says who the approvers are",
  ],
  [
    "an approval without keys",
    () => but("approvals: { allowed_signers: signers }", ""),
    "14:5 rules.0 - asks for an approval, so approvals.allowed_signers must say who signs with which key",
  ],
  [
    "unparsed text to be signed by nobody",
    () => but("production: {}", "production: { unparsed: require_approval }"),
    "7:27 environments.production.unparsed - asks for an approval, but neither it nor approvals.defaults says who the approvers are",
  ],
  [
    "a schema without a name",
    () => but("destructive: true", "objects: { any: [{ schema: audit }] }"),
    "15:22 rules.0.objects.any.0 - needs a name, too: any unqualified name may be in that schema",
  ],
  [
    "a network with bits behind its prefix",
    () => but("destructive: true", "clients: [10.0.0.1/8]"),
    "15:15 rules.0.clients.0 - has bits set behind its prefix",
  ],
  [
    "a time zone that is none",
    () => but("destructive: true", "during: { time_zone: Mars }"),
    "15:13 rules.0.during - no such time zone; the names are like Europe/Madrid or UTC",
  ],
  [
    "a key given twice",
    () => but("roles: [senior, lead]", "roles: [senior, lead]\nroles: [lead]"),
    "9:1 Map keys must be unique",
  ],
  [
    "a key that objects swallow",
    () => but("  bob:", "  __proto__:"),
    "11:3 is no name for anything",
  ],
  [
    "a tag that nobody knows",
    () => but("roles: [senior", "roles: !secret [senior"),
    "8:8 Unresolved tag: !secret",
  ],
  [
    "broken YAML",
    () => but("rules:", "rules: ]"),
    '13:8 Unexpected flow-seq-end token in YAML stream: "]"',
  ],
  ["an empty file", () => "", "1:1 must be keys with values, not empty"],
])("finds %s", (_, text, ...expected) => {
  const found = mistakesIn(text()).map((line) => line.replaceAll(directory, "DIR"));
  for (const mistake of expected) {
    expect(found).toContainEqual(expect.stringContaining(mistake));
  }
});

test("lists every mistake at once, in the order of the file", () => {
  const text = but("host: db", "hots: db")
    .replace("upstream: main", "upstream: mian")
    .replace("signers }", "singers }")
    .replace("action: allow", "action: alow");
  expect(mistakesIn(text).map((line) => line.split(" ")[1])).toEqual([
    "upstreams.main",
    "upstreams.main.hots",
    "databases.shop.upstream",
    "approvals.allowed_signers",
    "rules.1.action",
  ]);
});

test("tells of a file that can't be read", () => {
  expect(() => loadConfig(join(directory, "nowhere.yaml"))).toThrow(
    /nowhere\.yaml:1:1 can't be read: ENOENT/,
  );
});

test("never shows the secret that it refuses", () => {
  const found = mistakesIn(
    but("{ env: UPSTREAM_PASSWORD }", "hunter2").replace(
      "verifier_file: alice.verifier",
      "verifier: hunter2",
    ),
  );
  expect(found).toHaveLength(2);
  expect(found.join("\n")).not.toContain("hunter2");
});

test("can leave files and variables alone where they are not", () => {
  const file = join(directory, "elsewhere.yaml");
  writeFileSync(
    file,
    GOOD.replace("signers }", "elsewhere }").replace("UPSTREAM_PASSWORD", "UNSET"),
  );
  const config = loadConfig(file, { env: {}, surroundings: "skip" });
  expect(config.principals.get("alice")?.verifier).toBeUndefined();
});

test("reads a secret where it is, each time anew", () => {
  expect(readSecret({ from: "env", name: "UPSTREAM_PASSWORD" }, ENV).reveal()).toBe(
    "correct horse",
  );
  const source = { from: "file", path: join(directory, "password") } as const;
  expect(readSecret(source).reveal()).toBe("battery staple");
  writeFileSync(source.path, "rotated");
  expect(readSecret(source).reveal()).toBe("rotated");
  writeFileSync(source.path, "\n");
  expect(() => readSecret(source)).toThrow("is empty");
  expect(() => readSecret({ from: "env", name: "UNSET" }, {})).toThrow("UNSET is not set");
});

test("whatever is typed, it is a config or a ConfigError", () => {
  const pieces = GOOD.split(/(?<=[\s:{}[\],])/);
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.nat(pieces.length),
          fc.constantFrom("", "x", "1", "[", "}", "~", "*a", "null", "- "),
        ),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
      (edits) => {
        const text = pieces.with(0, pieces[0] ?? "");
        for (const [index, piece] of edits) text[index] = piece;
        try {
          load(text.join(""));
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      },
    ),
    { numRuns: 200 },
  );
});
