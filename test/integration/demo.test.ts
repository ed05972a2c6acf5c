import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { Program, shell, type Ended } from "../support/processes.ts";

const READY = "this is what happens at the proxy";
const ANY_PORTS = ["--port", "0", "--admin-port", "0"];

const home = mkdtempSync(join(tmpdir(), "twokey-home-"));
// As root, these tests have PostgreSQL run as somebody else, who has to get to what is kept in here.
chmodSync(home, 0o711);
const env = { ...process.env, HOME: home, XDG_STATE_HOME: join(home, "state") };
afterAll(() => {
  rmSync(home, { recursive: true });
});

// A test starts up to ten programs, each of which compiles its sources.
describe("twokey demo", { timeout: 180_000 }, () => {
  const running: Program[] = [];
  afterEach(async () => {
    for (const program of running.splice(0)) await program.interrupt();
  });

  async function start(...args: string[]): Promise<Demo> {
    const program = new Program(["demo", ...ANY_PORTS, ...args], env);
    running.push(program);
    const text = await program.printed(READY);
    const commands = [...text.matchAll(/^ {5}(\S.*)$/gm)].map(([, line = ""]) => line);
    return { program, text, commands, directory: /Everything is in (\S+)/.exec(text)?.[1] ?? "" };
  }

  it("prints a walk-through that works line by line, and leaves nothing behind", async () => {
    const { program, commands, directory } = await start();
    const [look, drop, approve, again, search, verify, metrics] = commands as SevenLines;

    expect((await run(look)).stdout).toContain("shipped");

    const refused = await run(drop);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(
      'twokey: DROP DATABASE "shop" needs a second person in production',
    );
    const request = /Request (R-\w+) waits/.exec(refused.stderr)?.[1] ?? "";
    await program.printed(approve.replace("R-......", request));

    const signed = await run(`${approve.replace("R-......", request)} --yes`);
    expect(signed).toMatchObject({ status: 0, stdout: expect.stringContaining(request) as string });

    expect(await run(again)).toMatchObject({ status: 0 });
    expect(await run(again)).toMatchObject({ status: 1 });

    const found = await run(search);
    expect(found.stdout).toMatch(/statement\.decided {2}alice {2}production\/postgres {2}allow/);
    expect((await run(verify)).stdout).toContain("as they were written");
    if (metrics.startsWith("curl")) {
      expect((await run(metrics)).stdout).toMatch(
        /effect="destructive_ddl",action="require_approval"\} 2/,
      );
    }

    expect(modes(join(directory, "keys"))).toEqual({ alice: 0o600, bob: 0o600 });
    expect(modes(join(directory, "secrets"))).toEqual({
      "postgres.password": 0o600,
      "twokey.password": 0o600,
    });
    expect(await program.interrupt()).toMatchObject({
      status: 0,
      stderr: expect.stringContaining("stopped; nothing is left") as string,
    });
    expect(existsSync(directory)).toBe(false);
  });

  it("can be done without psql, by twokey sql", async () => {
    const { commands } = await start();
    const [look = "", drop = ""] = commands.map((line) =>
      line.replace(/^psql (\S+) -c/, "node src/main.ts sql $1"),
    );
    expect((await run(look)).stdout).toMatch(/^status +count\n/);
    const refused = await run(drop);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toMatch(
      /^error: 42501: twokey: DROP DATABASE "shop" needs .*\nDETAIL: {2}Rule .*\nHINT: {2}Ask lead/,
    );
    const url = look.split(" ")[3] ?? "";
    const piped = await run(
      `printf 'CREATE TEMP TABLE t (a int);\\nINSERT INTO t\\nVALUES (1), (NULL);\\nDROP TABLE IF EXISTS x;\\nTABLE t' | node src/main.ts sql ${url}`,
    );
    expect(piped).toMatchObject({
      status: 1,
      stdout: "CREATE TABLE\nINSERT 0 2\n",
      stderr: expect.stringContaining('DROP TABLE "x" needs a second person') as string,
    });
    expect(await run("node src/main.ts sql postgresql://127.0.0.1:1/x 'SELECT 1'")).toMatchObject({
      status: 2,
    });
  });

  it("keeps with --data what there was, and takes no folder of somebody else", async () => {
    const data = join(home, "kept");
    const first = await start("--data", data);
    const change = "UPDATE products SET stock = 4711 WHERE id = 1";
    expect((await run(sql(first, change))).status).toBe(0);
    await first.program.interrupt();

    const second = await start("--data", data);
    expect((await run(sql(second, "SELECT stock FROM products WHERE id = 1"))).stdout).toContain(
      "4711",
    );
    const log = await run(`node src/main.ts audit verify --config ${data}/twokey.yaml`);
    expect(log.stdout).toContain("as they were written");
    expect((await second.program.interrupt()).stderr).toContain(`kept in ${data}`);

    writeFileSync(join(home, "thesis.txt"), "");
    expect(await new Program(["demo", ...ANY_PORTS, "--data", home], env).ended()).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("has other things in it") as string,
    });
  });

  it.runIf(process.getuid?.() === 0)(
    "says when root's PostgreSQL can't get to --data",
    async () => {
      mkdirSync(join(home, "closed"), { mode: 0o700 });
      const data = join(home, "closed", "data");
      const ended = await new Program(["demo", ...ANY_PORTS, "--data", data], env).ended();
      expect(ended).toMatchObject({ status: 2, stdout: "" });
      expect(ended.stderr).toContain(`can't get to ${data}\nhint: name a folder`);
    },
  );

  it.each(["--port", "--admin-port"])(
    "names the option when the port of %s is taken",
    async (option) => {
      const other = createServer().listen(0, "127.0.0.1");
      await once(other, "listening");
      const { port } = other.address() as { port: number };
      const ended = await new Program(["demo", ...ANY_PORTS, option, String(port)], env).ended();
      other.close();
      expect(ended).toMatchObject({ status: 2, stdout: "" });
      expect(ended.stderr).toBe(
        `error: port ${port} is in use by another program\nhint: choose another one with ${option} N (0 takes any that is free)\n`,
      );
    },
  );

  it("can be stopped while it starts", async () => {
    const program = new Program(["demo", ...ANY_PORTS], env);
    await program.noted("starting");
    expect(await program.interrupt()).toMatchObject({ status: 0, stdout: "" });
  });
});

interface Demo {
  readonly program: Program;
  readonly text: string;
  readonly commands: readonly string[];
  readonly directory: string;
}

type SevenLines = [string, string, string, string, string, string, string];

function run(line: string): Promise<Ended> {
  return shell(line, env);
}

function sql({ commands }: Demo, statement: string): string {
  const url = /postgresql:\S+/.exec(commands[0] ?? "")?.[0] ?? "";
  return `node src/main.ts sql ${url} '${statement}'`;
}

function modes(directory: string): Record<string, number> {
  const names = readdirSync(directory).filter((name) => !name.endsWith(".pub"));
  return Object.fromEntries(
    names.map((name) => [name, statSync(join(directory, name)).mode & 0o777]),
  );
}
