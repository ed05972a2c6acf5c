import { readFileSync, writeFileSync } from "node:fs";

const TABLE = new URL("../../../docs/compatibility.md", import.meta.url);

const HEAD = `# Compatibility

Which clients have run which features through Twokey with results equal to a direct connection's. Written by the tests in
\`test/integration/clients\` and \`test/clients\` with \`TWOKEY_WRITE_COMPATIBILITY=1\`; a row is there only because its test has passed.

| client | feature |
| --- | --- |
`;

/** Puts a feature that a client has just run, directly and through Twokey, into the table in \`docs/\`. */
export function note(client: string, feature: string): void {
  if (process.env["TWOKEY_WRITE_COMPATIBILITY"] !== "1") return;
  const rows = new Map<string, Set<string>>();
  for (const line of readTable().split("\n")) {
    const [, known, features] = /^\| ([^|]+) \| ([^|]+) \|$/.exec(line) ?? [];
    if (known === undefined || features === undefined) continue;
    if (known === "client" || known === "---") continue;
    rows.set(known, new Set(features.split(" · ")));
  }
  rows.set(client, (rows.get(client) ?? new Set()).add(feature));
  const body = [...rows]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, features]) => `| ${name} | ${[...features].sort().join(" · ")} |\n`);
  writeFileSync(TABLE, HEAD + body.join(""));
}

function readTable(): string {
  try {
    return readFileSync(TABLE, "utf8");
  } catch {
    return "";
  }
}
