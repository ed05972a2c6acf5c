import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { Metrics } from "../../src/telemetry/metrics.ts";

const dashboard = readFileSync("config/grafana/twokey.json", "utf8");
const rules = readFileSync("config/prometheus/twokey.rules.yaml", "utf8");

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly { readonly expr: string; readonly record?: string }[];
  }[];
}

const { panels } = JSON.parse(dashboard) as { readonly panels: readonly Panel[] };
const all = (parse(rules) as RuleFile).groups.flatMap((group) => group.rules);
const recorded = all.flatMap(({ record }) => record ?? []);

/** The metrics that an expression names, without what makes a histogram of them. */
function metricsIn(expr: string): string[] {
  const bare = expr.replaceAll(/"[^"]*"/g, '""');
  const names = bare.match(/\b(?:twokey|nodejs|process)[:_][\w:]+/g) ?? [];
  return names.map((name) => name.replace(/(?<=_seconds)_bucket$/, ""));
}

async function exposed(): Promise<string[]> {
  const text = await new Metrics({ version: "1.2.3", now: Date.now }).text();
  return [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = ""]) => name);
}

test("every metric that the dashboard and the rules ask for exists", async () => {
  const known = [...(await exposed()), ...recorded];
  for (const { title, targets } of panels) {
    for (const { expr } of targets) {
      const names = metricsIn(expr);
      expect(names, title).not.toEqual([]);
      expect(
        names.filter((name) => !known.includes(name)),
        title,
      ).toEqual([]);
    }
  }
  for (const { expr } of all) {
    expect(
      metricsIn(expr).filter((name) => !known.includes(name)),
      expr,
    ).toEqual([]);
  }
});

test("the dashboard shows every metric of Twokey", async () => {
  const shown = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsIn(expr)));
  const ours = (await exposed()).filter((name) => name.startsWith("twokey_"));
  expect(ours.filter((name) => !shown.includes(name))).toEqual([]);
});
