import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { TestProject } from "vitest/node";
import type { Fact } from "../support/facts.ts";
import { FEATURES, type Feature } from "./features.ts";

const PAGE = new URL("../../docs/compatibility.md", import.meta.url);

/** Gathers what the run notes. `--update` makes it the page in `docs/`; without, it says what was left out. */
export default function setup(project: TestProject): () => void {
  const file = project.config.env["TWOKEY_FACTS"] ?? "";
  const isUpdate = project.config.snapshotOptions.updateSnapshot === "all";
  return () => {
    if (!existsSync(file)) return;
    const facts = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Fact);
    rmSync(file);
    if (isUpdate) writeFileSync(PAGE, pageOf(facts));
    for (const fact of facts) {
      if (fact.kind === "left out")
        process.stdout.write(`left out: ${fact.client} (${fact.reason})\n`);
    }
  };
}

type Of<K extends Fact["kind"]> = Extract<Fact, { readonly kind: K }>;

function pageOf(facts: readonly Fact[]): string {
  const all = <K extends Fact["kind"]>(kind: K): Of<K>[] =>
    facts.filter((fact): fact is Of<K> => fact.kind === kind);
  return `# Compatibility

Written by \`npm run test:clients -- --update\`, which runs all of this and puts down only what passed. It installs each client with its own
package manager, into a cache outside the tree, where the toolchain is present; \`npm test\` needs none of it.

## Drivers and ORMs

Each runs one scripted session twice, against the server itself and through Twokey (both over TLS with verify-full, and SCRAM), and what it prints is
the same, byte for byte. An empty field: the driver has no such thing, or its script doesn't use it.

${drivers(all("feature"))}
${Object.entries(FEATURES)
  .map(([feature, meaning]) => `- **${feature}**: ${meaning}`)
  .join("\n")}

## In every run of the tests

\`npm test\` runs these with what is on the machine: the same output directly and through Twokey.

${everyday(all("everyday"))}
## How people lose production

Each through its real tool, against a database labelled production, and the same one labelled development. Refused means that schema and rows
were what they had been, seen through a direct connection. Unless the row says otherwise the tool showed Twokey's message, and failed.

${accidents(all("accident"))}
## Left out

${leftOut(all("left out"))}`;
}

function drivers(facts: readonly Of<"feature">[]): string {
  const names = Object.keys(FEATURES) as Feature[];
  const clients = new Map<string, Set<string>>();
  for (const { client, version, feature } of facts) {
    const row = `${client} ${version}`;
    clients.set(row, (clients.get(row) ?? new Set()).add(feature));
  }
  const rows = [...clients].map(([client, seen]) => [
    client,
    ...names.map((name) => (seen.has(name) ? "✓" : "")),
  ]);
  return table(["", ...names], rows);
}

function everyday(facts: readonly Of<"everyday">[]): string {
  const clients = new Map<string, Set<string>>();
  for (const { client, feature } of facts) {
    clients.set(client, (clients.get(client) ?? new Set()).add(feature));
  }
  const rows = [...clients].map(([client, seen]) => [client, [...seen].join(" · ")]);
  return table(["client", "what"], rows);
}

function accidents(facts: readonly Of<"accident">[]): string {
  return table(
    ["tool", "command", "production", "development"],
    facts.map(({ tool, command, production, development }) => [
      tool,
      `\`${command}\``,
      production,
      development,
    ]),
  );
}

function leftOut(facts: readonly Of<"left out">[]): string {
  const toolchains = facts.map(({ client, reason }) => `- **${client}**: ${reason}\n`).join("");
  return `${NOT_WRITTEN}${toolchains}`;
}

const NOT_WRITTEN = `- **Npgsql, sqlx, Prisma 7, pgcli**: nobody has written their script yet
- **node-postgres' own test suite**: its package does not hold it
- **the \`rails\` command**: the task behind it, ActiveRecord's, is called from a script
`;

/** As Prettier wants it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) =>
    Math.max(3, ...[head, ...rows].map((row) => (row[i] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |\n`;
  return line(head) + line(widths.map((width) => "-".repeat(width))) + rows.map(line).join("");
}
