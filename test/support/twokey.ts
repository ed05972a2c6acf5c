import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { formatKeyFiles } from "../../src/approvals/ssh-private-key.ts";
import { formatVerifier, makeVerifier } from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import { loadConfig } from "../../src/config/load.ts";
import { startTwokey, type Twokey } from "../../src/server/twokey.ts";
import { openLog } from "../../src/telemetry/log.ts";
import type { TestPostgres } from "./postgres.ts";

export interface TestPerson {
  readonly name: string;
  readonly password: string;
  /** Private key, OpenSSH format; its public half is beside it as `.pub`. */
  readonly keyFile: string;
}

/** A Twokey of its own for one test file, in front of a real PostgreSQL. Stop it in `afterAll`. */
export interface TestTwokey {
  readonly host: string;
  readonly port: number;
  readonly adminUrl: string;
  /** The configuration and everything that it names. */
  readonly directory: string;
  readonly configFile: string;
  readonly auditDirectory: string;
  readonly people: Readonly<Record<"alice" | "bob" | "carol", TestPerson>>;
  /** A connection string through the proxy. */
  url(person: TestPerson, database: string): string;
  stop(): Promise<void>;
}

/** Seniors work, what is destroyed needs a lead, juniors look; development is free. */
const RULES: readonly Record<string, unknown>[] = [
  {
    name: "two-people-for-what-is-lost-for-good",
    environments: ["production"],
    destructive: true,
    action: "require_approval",
    approval: { approvers: ["lead"] },
  },
  {
    name: "juniors-look",
    environments: ["production"],
    roles: ["junior"],
    effects: { only: ["read", "session", "transaction", "copy_out"] },
    action: "allow",
  },
  {
    name: "juniors-touch-nothing",
    environments: ["production"],
    roles: ["junior"],
    action: "block",
  },
  { name: "everyday-work", environments: ["production", "development"], action: "allow" },
];

export const ALLOW_ALL: readonly Record<string, unknown>[] = [
  { name: "anything", action: "allow" },
];

export interface TestTwokeyOptions {
  readonly postgres: TestPostgres;
  /** By database, which environment it is in; `shop` is production. */
  readonly databases?: Readonly<Record<string, string>>;
  readonly rules?: readonly Record<string, unknown>[];
  /** Further sections of the configuration, over what stands here. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** More to say of one of the people. */
  readonly person?: Readonly<Partial<Record<"alice" | "bob" | "carol", object>>>;
}

/** A configuration in a folder of its own, and who is in it. */
export interface TestConfig {
  readonly directory: string;
  readonly configFile: string;
  readonly people: TestTwokey["people"];
}

export async function writeTestConfig({
  postgres,
  databases = { shop: "production", postgres: "production" },
  rules = RULES,
  config = {},
  person = {},
}: TestTwokeyOptions): Promise<TestConfig> {
  const directory = mkdtempSync(path.join(tmpdir(), "twokey-test-"));
  const at = (name: string): string => path.join(directory, name);
  mkdirSync(at("keys"));
  const people = {
    alice: newPerson("alice", directory),
    bob: newPerson("bob", directory),
    carol: newPerson("carol", directory),
  };
  writeFileSync(at("upstream.password"), postgres.password, { mode: 0o600 });
  writeFileSync(
    at("allowed_signers"),
    Object.values(people)
      .map(({ line }) => line)
      .join(""),
  );
  writeFileSync(
    at("twokey.yaml"),
    stringify({
      listen: { port: 0, tls: { mode: "off" } },
      admin: { port: 0 },
      upstreams: {
        main: {
          host: postgres.host,
          port: postgres.port,
          user: postgres.superuser,
          password: { file: "upstream.password" },
          tls: { mode: "disable" },
        },
      },
      databases: Object.fromEntries(
        Object.entries(databases).map(([name, environment]) => [
          name,
          { upstream: "main", environment },
        ]),
      ),
      environments: { production: {}, development: {} },
      roles: ["junior", "senior", "lead"],
      people: {
        alice: { roles: ["senior"], verifier: await verifierOf(people.alice), ...person.alice },
        bob: { roles: ["lead"], verifier: await verifierOf(people.bob), ...person.bob },
        carol: { roles: ["junior"], verifier: await verifierOf(people.carol), ...person.carol },
      },
      approvals: { allowed_signers: "allowed_signers" },
      rules,
      log: { level: "silent" },
      ...config,
    }),
  );
  return { directory, configFile: at("twokey.yaml"), people };
}

export async function startTestTwokey(options: TestTwokeyOptions): Promise<TestTwokey> {
  const { directory, configFile, people } = await writeTestConfig(options);
  const loaded = loadConfig(configFile);
  const log = openLog({ level: loaded.log.level });
  const twokey: Twokey = await startTwokey({ config: loaded, log, version: "test" });
  const host = "127.0.0.1";
  return {
    host,
    port: twokey.port,
    adminUrl: twokey.adminUrl,
    directory,
    configFile,
    auditDirectory: loaded.audit.directory,
    people,
    url: ({ name, password }, database) =>
      `postgresql://${name}:${password}@${host}:${twokey.port}/${database}`,
    stop: async () => {
      await twokey.stop({ drainMs: 0 });
      rmSync(directory, { recursive: true });
    },
  };
}

function newPerson(name: string, directory: string): TestPerson & { readonly line: string } {
  const keyFile = path.join(directory, "keys", name);
  const { privateKeyFile, publicKeyFile } = formatKeyFiles(randomBytes(32), name);
  writeFileSync(keyFile, privateKeyFile, { mode: 0o600 });
  writeFileSync(`${keyFile}.pub`, publicKeyFile);
  return {
    name,
    password: randomBytes(9).toString("hex"),
    keyFile,
    line: `${name} ${publicKeyFile.trim()}\n`,
  };
}

async function verifierOf({ password }: TestPerson): Promise<string> {
  return formatVerifier(await makeVerifier(new Secret(password)));
}
