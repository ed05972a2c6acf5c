import { relative, sep } from "node:path";
import { isOnPath } from "../on-path.ts";
import { urlThrough, type Stage } from "./stage.ts";

/** How this very program is called again from the same folder: from a clone, `node dist/main.js`. */
export function invocation(argv: readonly string[], cwd: string): string {
  const [, script = "twokey"] = argv;
  const isInstalled = /(^|[/\\])twokey$/.test(script);
  if (isInstalled) return script.includes(`node_modules${sep}.bin`) ? "npx twokey" : "twokey";
  const fromHere = relative(cwd, script);
  return `node ${quoted(fromHere.startsWith("..") ? script : fromHere)}`;
}

/** What to type in a second terminal, line by line, with the paths and passwords of this start. */
export function walkThrough(
  stage: Stage,
  { twokey, env }: { twokey: string; env: NodeJS.ProcessEnv },
): readonly string[] {
  const sql = (database: string, statement: string): string => {
    const url = urlThrough(stage, stage.alice, database);
    return isOnPath("psql", env)
      ? `psql ${url} -c '${statement}'`
      : `${twokey} sql ${url} '${statement}'`;
  };
  const [dropped, again] = [1, 2].map(() => sql("postgres", "DROP DATABASE shop"));
  const metrics = `${stage.adminUrl}/metrics`;
  return [
    "1. Alice looks around in production: that is everyday work.",
    `     ${sql("shop", "SELECT status, count(*) FROM orders GROUP BY status")}`,
    "2. The statement of that morning. It is refused, and the refusal names a request.",
    `     ${dropped}`,
    "3. Bob looks at it, and signs with his SSH key (put the request's number here).",
    `     ${approveLine(stage, { twokey, request: "R-......" })}`,
    "4. The same statement again: now it runs. Once; try it a second time.",
    `     ${again}`,
    "5. Who dropped it? And is the log as it was written?",
    `     ${twokey} audit search --sql 'drop database' --config ${quoted(stage.configFile)}`,
    `     ${twokey} audit verify --config ${quoted(stage.configFile)}`,
    "6. The same in numbers.",
    isOnPath("curl", env)
      ? `     curl -s ${metrics} | grep ^twokey_statements_total`
      : `     ${metrics}`,
  ];
}

export function approveLine(
  { adminUrl, bob }: Stage,
  { twokey, request }: { twokey: string; request: string },
): string {
  const url = adminUrl === "http://127.0.0.1:9188" ? "" : ` --url ${adminUrl}`;
  return `${twokey} approve ${request} --as bob --key ${quoted(bob.keyFile)}${url}`;
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
