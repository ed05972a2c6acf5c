import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { format, resolveConfig } from "prettier";
import pg from "pg";
import { startPostgres } from "../support/postgres.ts";
import { startTestTwokey } from "../support/twokey.ts";

// `npm run record`: two terminals, from alice's statement to its result, into docs/explanation/held-statement.md.
// What is typed is typed at once: the seconds are the programs', the keystrokes are counted.

const SQL = 'DROP TABLE "orders_2019";';

const postgres = await startPostgres();
const { host, port, superuser: user, password } = postgres;
const admin = new pg.Client({ host, port, user, password, database: "postgres" });
await admin.connect();
await admin.query("CREATE DATABASE shop");
await admin.end();
const shop = new pg.Client({ host, port, user, password, database: "shop" });
await shop.connect();
await shop.query(
  "CREATE TABLE orders_2019 AS SELECT i AS id FROM generate_series(1, 100000) i; ANALYZE",
);
await shop.end();
const twokey = await startTestTwokey({
  postgres,
  rules: [
    {
      ...{ name: "two-people-for-what-is-lost-for-good", destructive: true },
      action: "require_approval",
      approval: { approvers: ["lead"], wait: "hold", hold_for: "10m" },
    },
    { name: "everyday-work", action: "allow" },
  ],
});

const lines: string[] = [];
let startedAtMs = 0;
let keystrokes = 0;
const say = (text: string): void => {
  const at = startedAtMs === 0 ? 0 : (performance.now() - startedAtMs) / 1000;
  lines.push(`${at.toFixed(2).padStart(6)}  ${text}`.trimEnd());
};
const type = (who: string, prompt: string, text: string): void => {
  keystrokes += text.length + 1; // Enter
  say(`${who}${prompt}${text}`);
};

const psql = spawn(
  "psql",
  ["-X", "-q", "-v", "QUIET=off", twokey.url(twokey.people.alice, "shop")],
  {
    stdio: ["pipe", "pipe", "pipe"],
  },
);
const ended = once(psql, "close");
const request = new Promise<string>((resolve) => {
  createInterface({ input: psql.stderr }).on("line", (line) => {
    say(line);
    const id = /twokey approve (R-\w{6})/.exec(line)?.[1];
    if (id !== undefined) resolve(id);
  });
});
const done = new Promise<void>((resolve) => {
  createInterface({ input: psql.stdout }).on("line", (line) => {
    say(line);
    if (line === "DROP TABLE") resolve();
  });
});

startedAtMs = performance.now();
type("alice", "  shop=> ", SQL);
psql.stdin.write(`${SQL}\n`);
const id = await request;
type("bob", "    $ ", `twokey approve ${id} --yes`);
const { bob } = twokey.people;
const approve = spawn(
  process.execPath,
  [
    ...["--import", "tsx", "src/main.ts", "approve", id, "--yes"],
    ...["--url", twokey.adminUrl, "--as", "bob", "--key", bob.keyFile],
  ],
  { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, XDG_STATE_HOME: twokey.directory } },
);
createInterface({ input: approve.stderr }).on("line", say);
createInterface({ input: approve.stdout }).on("line", say);
await done;
const seconds = (performance.now() - startedAtMs) / 1000;
psql.stdin.end();
await ended;
await twokey.stop();
await postgres.stop();

const page = `# A held statement, as it went

Made by \`npm run record\`, from two terminals; the numbers on the left are seconds. Alice's rule says \`wait: hold\`, so her statement waits where it is.
Bob has given his name, key and server once, in \`TWOKEY_AS\`, \`TWOKEY_KEY\` and \`TWOKEY_URL\`.

\`\`\`text
${lines.join("\n")}
\`\`\`

From the statement typed to its result: ${keystrokes} keystrokes of two people, ${SQL.length + 1} of them the statement itself, and ${seconds.toFixed(1)} s of
programs, most of them the start of Bob's command. The rest is Bob reading what he signs.
`;
const file = "docs/explanation/held-statement.md";
writeFileSync(file, await format(page, { ...(await resolveConfig(file)), parser: "markdown" }));
