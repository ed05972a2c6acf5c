import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pem } from "../support/pem.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";

const at = (name: string): string =>
  fileURLToPath(new URL(`../support/certificates/${name}`, import.meta.url));

const PEOPLE = {
  alice: { roles: ["senior"], certificates: [{ email: "alice@example.com" }] },
  bob: { roles: ["lead"], certificates: [{ common_name: "bob" }] },
  late: { roles: ["senior"], certificates: [{ common_name: "alice" }], expires: "2020-01-01" },
};

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres.stop();
});

function start(tls: Readonly<Record<string, string>>): Promise<TestTwokey> {
  const own = { cert: at("server.crt"), key: at("server.key") };
  const listen = { port: 0, tls: { mode: "require", ...own, ...tls } };
  return startTestTwokey({ postgres, config: { listen, people: PEOPLE } });
}

interface Shown {
  readonly cert: Buffer | string;
  readonly key: Buffer | string;
}

/** Logs in with a certificate and a password that is nobody's. */
async function logIn(
  { port }: TestTwokey,
  user: string,
  shown: Shown | undefined,
): Promise<string> {
  const client = new pg.Client({
    host: "localhost",
    port,
    user,
    password: "nobody's",
    database: "postgres",
    ssl: { ca: pem("ca.crt"), ...shown },
  });
  try {
    await client.connect();
    return "in";
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end();
  }
}

const failed = (user: string): string => `password authentication failed for user "${user}"`;

describe("a client certificate", () => {
  let twokey: TestTwokey;

  beforeAll(async () => {
    twokey = await start({ client_ca: at("ca.crt") });
  });

  afterAll(async () => {
    await twokey.stop();
  });

  const ours = { cert: pem("alice.crt"), key: pem("alice.key") };
  const rogue = { cert: pem("rogue-alice.crt"), key: pem("rogue-alice.key") };

  test.each([
    ["that names her", "alice", ours, "in"],
    ["from a CA of the same name that isn't ours", "alice", rogue, failed("alice")],
    ["that names somebody else", "bob", ours, failed("bob")],
    ["of somebody who has expired", "late", ours, failed("late")],
    ["of nobody there is", "nobody", ours, failed("nobody")],
    ["that isn't shown", "alice", undefined, failed("alice")],
  ])("%s", async (_, user, shown, outcome) => {
    expect(await logIn(twokey, user, shown)).toBe(outcome);
  });

  test.skipIf(spawnSync("psql", ["--version"]).error !== undefined)(
    "is what psql shows",
    async () => {
      const folder = mkdtempSync(path.join(tmpdir(), "twokey-psql-"));
      const key = path.join(folder, "alice.key");
      writeFileSync(key, pem("alice.key"), { mode: 0o600 });
      const target =
        `host=localhost hostaddr=127.0.0.1 port=${twokey.port} user=alice dbname=postgres sslmode=verify-full ` +
        `sslrootcert=${at("ca.crt")} sslcert=${at("alice.crt")} sslkey=${key}`;
      const ran = await promisify(execFile)("psql", [
        ...["-X", "-A", "-t", "-w", "-c", "SELECT 'in'"],
        target,
      ]);
      rmSync(folder, { recursive: true });
      expect(ran.stdout).toBe("in\n");
    },
  );
});

const hasOpenssl = spawnSync("openssl", ["version"]).error === undefined;

describe.skipIf(!hasOpenssl)("a revocation list", () => {
  let folder: string;
  let twokey: TestTwokey;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "twokey-crl-"));
    makeAuthority();
    twokey = await start({
      client_ca: path.join(folder, "ca.crt"),
      client_crl: path.join(folder, "crl.pem"),
    });
  });

  afterAll(async () => {
    await twokey.stop();
    rmSync(folder, { recursive: true });
  });

  test("keeps out whose certificate is on it, and nobody else", async () => {
    expect(await logIn(twokey, "bob", shown("bob"))).toBe("in");
    expect(await logIn(twokey, "alice", shown("alice"))).toBe(failed("alice"));
  });

  function shown(name: string): Shown {
    const read = (ending: string): Buffer => readFileSync(path.join(folder, `${name}.${ending}`));
    return { cert: read("crt"), key: read("key") };
  }

  function makeAuthority(): void {
    const run = (command: string, ...more: string[]): void => {
      execFileSync("openssl", [...command.split(" "), ...more], { cwd: folder, stdio: "pipe" });
    };
    const write = (name: string, text: string): void => {
      writeFileSync(path.join(folder, name), text);
    };
    const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    run(
      `req -x509 ${key} -days 2 -subj /CN=revoking -keyout ca.key -out ca.crt`,
      "-addext",
      "keyUsage=critical,keyCertSign,cRLSign",
    );
    for (const [index, name] of ["alice", "bob"].entries()) {
      run(`req ${key} -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`);
      write("ext", `subjectAltName=email:${name}@example.com\nextendedKeyUsage=clientAuth\n`);
      run(
        `x509 -req -in ${name}.csr -CA ca.crt -CAkey ca.key -days 2 -set_serial ${index + 1} -extfile ext -out ${name}.crt`,
      );
    }
    write("index", "");
    write(
      "ca.cnf",
      "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=2\n",
    );
    const authority = "-config ca.cnf -cert ca.crt -keyfile ca.key";
    run(`ca ${authority} -revoke alice.crt`);
    run(`ca ${authority} -gencrl -out crl.pem`);
  }
});
