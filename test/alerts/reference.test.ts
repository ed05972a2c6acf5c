import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DEFAULT_RULES } from "../../src/alerts/rules.ts";
import { ALERT_EVENTS } from "../../src/config/alerts-schema.ts";

const page = readFileSync(new URL("../../docs/reference/alerts.md", import.meta.url), "utf8");

/** The rows of a section's first table, each as its cells. */
function tableOf(section: string): string[][] {
  const [, text = ""] = page.split(`\n## ${section}\n`);
  const rows = text
    .split("\n## ", 1)
    .join("")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  return rows.map((row) => row.split("|").map((cell) => cell.trim()));
}

test("the alerts reference has every event, in their order", () => {
  expect(tableOf("Events").map(([, name]) => name)).toEqual(
    ALERT_EVENTS.map((name) => `\`${name}\``),
  );
});

test("the alerts reference has every rule that comes with Twokey, as it is", () => {
  const listed = tableOf("Rules").map(([, name, events, , severity]) => [name, events, severity]);
  expect(listed).toEqual(
    DEFAULT_RULES.map(({ name, on, severity }) => [
      `\`${name}\``,
      on.map((event) => `\`${event}\``).join(", "),
      severity,
    ]),
  );
});
