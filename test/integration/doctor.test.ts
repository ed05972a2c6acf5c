import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { formatKeyFiles } from "../../src/approvals/ssh-private-key.ts";
import { formatVerifier, makeVerifier } from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import { SEVERITIES, type Diagnosis, type Finding } from "../../src/provision/finding.ts";
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from "../../src/upstream/embedded-postgres.ts";
import { Home, type Ran } from "../cli/harness.ts";
import { pem } from "../support/pem.ts";

const BOSS = "a long password of the administrator's own";
const WEAK = "the password that leaked";

/** Every hole, and a part of what doctor has to say of it. */
const PLANTED: readonly (readonly [check: string, what: string])[] = [
  ["way-around", "lets boss in from any address, around Twokey"],
  ["way-around", "lets old in from 10.1.0.0 (255.255.0.0), around Twokey"],
  ["login-without-password", "lets open_door in without any password"],
  ["weak-authentication", "authenticates by password"],
  ["unencrypted-way", "host all all 0.0.0.0 0.0.0.0 scram-sha-256) takes connections without TLS"],
  ["open-to-many-addresses", "lets Twokey's own twokey_main in from 10.0.0.0 (255.0.0.0)"],
  ["twokey-too-mighty", "Twokey logs in as twokey_main, which has SUPERUSER"],
  ["mighty-membership", "report is a member of pg_execute_server_program"],
  ["login-missing", "role nobody_made is not there"],
  ["login-exceeds-its-level", "reader, which is read_only, can write public.orders"],
  ["login-exceeds-its-level", "create objects in schema public"],
  ["login-exceeds-its-level", "call public.wipe, which runs as its owner"],
  ["weak-verifier", "the password of old is not kept as SCRAM-SHA-256"],
  ["weak-verifier", "new passwords are kept as md5"],
  ["shared-password", "twin and twokey_main have the same password"],
  ["guessable-password", "the password of report is the first that anybody would try"],
  ["public-privilege", "CONNECT, TEMPORARY on DATABASE shop"],
  ["public-privilege", "CREATE on SCHEMA public"],
  ["public-privilege", "on TABLE public.orders"],
  ["public-privilege", "EXECUTE on ROUTINE public.wipe()"],
  ["untrusted-language", "the language shellish is there"],
  ["reaching-extension", "the extension dblink is there"],
  ["hidden-setting", 'standard_conforming_strings = off is stored for ROLE "reader"'],
  ["hidden-setting", 'session_replication_role = replica is stored for DATABASE "shop"'],
  ["no-tls", "the server listens on 0.0.0.0 without TLS"],
  ["no-tls", "Twokey listens on 0.0.0.0, where TLS is off"],
  ["upstream-not-verified", "Twokey connects with tls.mode disable"],
  ["unknown-replica", "a replica at 127.0.0.1 receives everything"],
  ["logical-slot", "the logical replication slot tap"],
  ["destroys-alone", "rule anything lets alice, bob, carol run alone: DROP DATABASE ..."],
  ["allow-all", "rule anything allows whatever the rules before it leave"],
  ["unparsed-passes", "left to the rules in production"],
  ["too-few-approvers", "rule schemas-need-a-lead asks for 1 of lead: bob"],
  ["shared-signing-key", "gives bob the key that alice has"],
  ["key-of-many-names", "lets one key sign as *"],
  ["shared-password", "alice and bob have the same verifier"],
  ["one-role-for-all", "everybody logs in on the server as one role"],
  ["readable-password-file", "has mode 0644"],
];

describe("twokey doctor on a server with every hole", () => {
  const home = new Home();
  let server: EmbeddedPostgres;
  let walSender: pg.Client;
  let hasDblink = true;

  beforeAll(async () => {
    server = await start({
      hba: [
        "host shop twokey_main 10.0.0.0/8 scram-sha-256",
        "host shop old 10.1.0.0/16 password",
        "local all open_door trust",
        "host all barred 0.0.0.0/0 reject",
        "host all all 0.0.0.0/0 scram-sha-256",
      ],
      settings: { listen_addresses: "0.0.0.0", wal_level: "logical", password_encryption: "md5" },
    });
    await onServer(server, "CREATE DATABASE shop", "postgres");
    await onServer(
      server,
      `
      CREATE ROLE old LOGIN PASSWORD 'something of old';
      SET password_encryption = 'scram-sha-256';
      CREATE ROLE twokey_main SUPERUSER LOGIN PASSWORD '${WEAK}';
      CREATE ROLE twin LOGIN PASSWORD '${WEAK}';
      CREATE ROLE open_door LOGIN;
      CREATE ROLE barred LOGIN;
      CREATE ROLE report LOGIN PASSWORD 'report';
      GRANT pg_execute_server_program TO report;
      CREATE ROLE reader LOGIN PASSWORD 'a reader''s own';
      ALTER ROLE reader SET standard_conforming_strings = off;
      ALTER DATABASE shop SET session_replication_role = replica;
      CREATE TABLE orders (id int);
      GRANT ALL ON orders TO PUBLIC;
      GRANT CREATE ON SCHEMA public TO PUBLIC;
      CREATE FUNCTION wipe() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM orders';
      CREATE LANGUAGE shellish HANDLER plpgsql_call_handler;`,
    );
    await onServer(server, "SELECT pg_create_logical_replication_slot('tap', 'pgoutput')");
    const available = await onServer(
      server,
      "SELECT FROM pg_available_extensions WHERE name = 'dblink'",
    );
    hasDblink = available.length > 0;
    if (hasDblink) await onServer(server, "CREATE EXTENSION dblink");
    walSender = clientOf(server, "shop", { replication: "database" });
    await walSender.connect();
    await writeBadConfig();
  });

  afterAll(async () => {
    await walSender.end();
    await server.stop();
    home.remove();
  });

  it("finds each of them, worst first, with why and what mends it", async () => {
    const { status, stdout, stderr } = await doctor(home, "--json", "--as-admin", "env:ADMIN");
    const { findings, unseen } = JSON.parse(stdout) as Diagnosis;
    const planted = PLANTED.filter(([, what]) => hasDblink || !what.includes("dblink"));
    const missed = planted.filter(
      ([check, what]) =>
        !findings.some((found) => found.check === check && found.what.includes(what)),
    );
    expect(missed).toEqual([]);
    expect(unseen).toEqual([]);
    expect(status).toBe(1);
    expect(stderr).toContain(`${findings.length} findings`);
    expect(findings.every(({ why, fix }) => why !== "" && fix !== "")).toBe(true);
    const ranks = findings.map(({ severity }) => SEVERITIES.indexOf(severity));
    expect(ranks).toEqual([...ranks].sort());
    // What an earlier line rejects gets in by no later one.
    expect(findings.filter(({ what }) => what.includes("barred"))).toEqual([]);
  });

  it("gives SQL that can be run as it stands", async () => {
    const { stdout } = await doctor(home, "--json", "--as-admin", "env:ADMIN");
    const { findings } = JSON.parse(stdout) as Diagnosis;
    const ofSql = findings.filter(({ check, where }) =>
      where.endsWith("shop") || where === "upstream main"
        ? [
            "public-privilege",
            "hidden-setting",
            "mighty-membership",
            "untrusted-language",
            "logical-slot",
          ].includes(check)
        : false,
    );
    expect(ofSql.length).toBeGreaterThanOrEqual(8);
    for (const { fix } of ofSql) await onServer(server, fix);
    const again = JSON.parse(
      (await doctor(home, "--json", "--as-admin", "env:ADMIN")).stdout,
    ) as Diagnosis;
    const key = ({ check, what }: Finding): string => `${check} ${what}`;
    const left = new Set(again.findings.map(key));
    expect(ofSql.map(key).filter((one) => left.has(one))).toEqual([]);
  });

  it("prints for people, too", async () => {
    const { stdout } = await doctor(home);
    expect(stdout).toMatch(/^critical {2}\S+, .+\n {2}.+\n {2}why: .+\n {2}fix: .+\n/);
  });

  it("could not tell where no server answers", async () => {
    const text = readFileSync(configFile(), "utf8");
    writeFileSync(join(home.directory, "away.yaml"), text.replaceAll(String(server.port), "1"));
    const { stdout } = await home.run([
      "doctor",
      "--json",
      "--config",
      join(home.directory, "away.yaml"),
    ]);
    const { unseen } = JSON.parse(stdout) as Diagnosis;
    expect(unseen.map(({ where }) => where)).toEqual(["database shop", "database postgres"]);
  });

  async function writeBadConfig(): Promise<void> {
    const at = (name: string): string => join(home.directory, name);
    writeFileSync(at("main.password"), WEAK);
    chmodSync(at("main.password"), 0o644);
    writeFileSync(at("reader.password"), "a reader's own", { mode: 0o600 });
    const key = formatKeyFiles(randomBytes(32), "shared").publicKeyFile.trim();
    const other = formatKeyFiles(randomBytes(32), "any").publicKeyFile.trim();
    writeFileSync(at("allowed_signers"), `alice ${key}\nbob ${key}\n* ${other}\n`);
    const verifier = formatVerifier(await makeVerifier(new Secret("shared")));
    const login = (role: string, user: string, may: string): object => ({
      roles: [role],
      user,
      password: { file: "reader.password" },
      may,
    });
    writeFileSync(
      configFile(),
      stringify({
        listen: { host: "0.0.0.0", tls: { mode: "off" } },
        upstreams: {
          main: {
            hosts: [`localhost:${server.port}`, "db2.example.internal:1"],
            user: "twokey_main",
            password: { file: "main.password" },
            tls: { mode: "disable" },
          },
        },
        databases: {
          shop: {
            upstream: "main",
            environment: "production",
            logins: [
              login("junior", "reader", "read_only"),
              login("senior", "nobody_made", "read_write"),
            ],
          },
          postgres: { upstream: "main", environment: "production" },
        },
        environments: { production: { unparsed: "ask_rules" } },
        roles: ["junior", "senior", "lead"],
        people: {
          alice: { roles: ["senior"], verifier },
          bob: { roles: ["lead"], verifier },
          carol: { roles: ["junior"] },
        },
        approvals: { allowed_signers: "allowed_signers" },
        rules: [
          {
            name: "schemas-need-a-lead",
            objects: { any: [{ kind: "schema" }] },
            action: "require_approval",
            approval: { approvers: ["lead"] },
          },
          { name: "anything", action: "allow" },
        ],
      }),
    );
  }

  function configFile(): string {
    return join(home.directory, "twokey.yaml");
  }
});

describe("twokey doctor on a server made by provision", () => {
  const home = new Home();
  let server: EmbeddedPostgres;

  beforeAll(async () => {
    server = await start({
      hba: ["hostssl shop twokey,shop_reader,shop_writer,shop_maker 10.0.0.5/32 scram-sha-256"],
      tls: { certificate: pem("server.crt"), key: new Secret(pem("server.key")) },
    });
    await onServer(server, "CREATE DATABASE shop", "postgres");
    await onServer(
      server,
      `
      CREATE TABLE orders (id int);
      GRANT ALL ON orders TO PUBLIC;
      CREATE FUNCTION wipe() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM orders';
      ALTER DATABASE shop SET session_replication_role = replica;`,
    );
    await writeGoodConfig();
  });

  afterAll(async () => {
    await server.stop();
    home.remove();
  });

  it("finds nothing", async () => {
    const provisioned = await home.run(
      [
        "provision",
        "--config",
        join(home.directory, "twokey.yaml"),
        "--database",
        "shop",
        "--apply",
        "--as-admin",
        "env:ADMIN",
      ],
      { env: admin(server) },
    );
    expect(provisioned).toMatchObject({ status: 0, stderr: "" });
    expect(existsSync(join(home.directory, "shop_reader.password"))).toBe(true);
    const { status, stdout, stderr } = await doctor(home, "--as-admin", "env:ADMIN");
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: "no way around Twokey found\n",
      stderr: "",
    });
  });

  it("asks whose administrator it is where there are several servers", async () => {
    const file = join(home.directory, "several.yaml");
    const text = readFileSync(join(home.directory, "twokey.yaml"), "utf8");
    const other = "upstreams:\n  other:\n    host: db2.example.internal\n    user: x\n";
    writeFileSync(file, text.replace("upstreams:\n", other));
    const run = (...more: readonly string[]): Promise<Ran> =>
      home.run(["doctor", "--config", file, "--as-admin", "env:ADMIN", ...more], {
        env: admin(server),
      });
    expect(await run()).toMatchObject({ status: 2, stdout: "" });
    expect((await run()).stderr).toContain("--upstream NAME");
    expect((await run("--upstream", "mian")).stderr).toContain('no upstream "mian"');
    expect(await run("--upstream", "main")).toMatchObject({ status: 0 });
  });

  it("could not tell what Twokey's own role may not see", async () => {
    const { status, stdout, stderr } = await doctor(home, "--json");
    const { findings, unseen } = JSON.parse(stdout) as Diagnosis;
    expect(findings).toEqual([]);
    expect(unseen.map(({ check }) => check)).toEqual(["way-around", "weak-verifier"]);
    expect(status).toBe(2);
    expect(stderr).toContain("nothing found, but 2 things could not be looked at");
  });

  async function writeGoodConfig(): Promise<void> {
    const at = (name: string): string => join(home.directory, name);
    writeFileSync(at("twokey.password"), randomBytes(32).toString("hex"), { mode: 0o600 });
    writeFileSync(at("ca.crt"), pem("ca.crt"));
    const people = ["alice", "bob", "carol"];
    writeFileSync(
      at("allowed_signers"),
      people
        .map((name) => `${name} ${formatKeyFiles(randomBytes(32), name).publicKeyFile}`)
        .join(""),
    );
    const login = (role: string, user: string, may: string): object => ({
      roles: [role],
      user: `shop_${user}`,
      password: { file: `shop_${user}.password` },
      may,
    });
    const person = async (role: string): Promise<object> => ({
      roles: [role],
      verifier: formatVerifier(await makeVerifier(new Secret(randomBytes(9).toString("hex")))),
    });
    writeFileSync(
      at("twokey.yaml"),
      stringify({
        upstreams: {
          main: {
            host: server.host,
            port: server.port,
            user: "twokey",
            password: { file: "twokey.password" },
            tls: { mode: "verify-ca", ca: "ca.crt" },
          },
        },
        databases: {
          shop: {
            upstream: "main",
            environment: "production",
            logins: [
              login("junior", "reader", "read_only"),
              login("senior", "writer", "read_write"),
              login("lead", "maker", "ddl"),
            ],
          },
        },
        environments: { production: {} },
        roles: ["junior", "senior", "lead"],
        people: {
          alice: await person("senior"),
          bob: await person("lead"),
          carol: await person("lead"),
        },
        approvals: { allowed_signers: "allowed_signers" },
        rules: [
          {
            name: "two-people-for-what-is-lost-for-good",
            destructive: true,
            action: "require_approval",
            approval: { approvers: ["lead"] },
          },
          {
            name: "everyday-work",
            effects: { only: ["read", "write", "delete", "session", "transaction"] },
            action: "allow",
          },
        ],
      }),
    );
  }
});

const servers: EmbeddedPostgres[] = [];

async function start(options: Partial<EmbeddedPostgresOptions>): Promise<EmbeddedPostgres> {
  const binDir = process.env["TWOKEY_TEST_BINDIR"];
  const server = await startEmbeddedPostgres({
    superuser: "boss",
    password: new Secret(BOSS),
    binDir,
    ...options,
  });
  servers.push(server);
  return server;
}

function doctor(home: Home, ...more: readonly string[]): Promise<Ran> {
  const server = servers.at(-1);
  if (server === undefined) throw new Error("no server");
  return home.run(["doctor", "--config", join(home.directory, "twokey.yaml"), ...more], {
    env: admin(server),
  });
}

function admin({ host, port }: EmbeddedPostgres): NodeJS.ProcessEnv {
  return { ADMIN: `postgresql://boss:${encodeURIComponent(BOSS)}@${host}:${port}` };
}

function clientOf(
  { host, port }: EmbeddedPostgres,
  database: string,
  more: object = {},
): pg.Client {
  return new pg.Client({ host, port, user: "boss", password: BOSS, database, ...more });
}

async function onServer(
  server: EmbeddedPostgres,
  sql: string,
  database = "shop",
): Promise<unknown[]> {
  const client = clientOf(server, database);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
