import { loadConfig } from "../../config/load.ts";
import type { Decision } from "../../policy/decision.ts";
import { CommandFailed } from "../command-failed.ts";
import { Explainer } from "../explainer.ts";
import type { Terminal } from "../terminal.ts";
import { visibleLine } from "../visible-line.ts";
import { readCases, type PolicyCase } from "./cases.ts";

/** Prints what is otherwise than expected. @throws CommandFailed: 1 where anything is, 2 where a case can't be run */
export async function testPolicy(
  file: string,
  { config: configFile, json }: { readonly config: string; readonly json?: true },
  terminal: Terminal,
): Promise<void> {
  const cases = readCases(file, new Date());
  const explainer = new Explainer(loadConfig(configFile, { surroundings: "skip" }), undefined);
  let failed = 0;
  try {
    for (const one of cases) {
      const { decision } = await explainer.explain(one.question, one.circumstances);
      if (decision === undefined) throw new CommandFailed(2, `${one.name} can't be decided`);
      // What is only watched would be decided all the same.
      const decided = decision.action === "allow" ? (decision.observed ?? decision) : decision;
      const why = whyNot(one, decided);
      if (why !== undefined) failed += 1;
      if (json === true) {
        const { action, rule } = decided;
        terminal.print(JSON.stringify({ name: one.name, ok: why === undefined, action, rule }));
      } else if (why !== undefined) {
        terminal.print(`${terminal.colors.red("not ok")} ${visibleLine(one.name)}: ${why}`);
      }
    }
  } finally {
    await explainer.close();
  }
  const all = `${cases.length} ${cases.length === 1 ? "case" : "cases"}`;
  if (failed > 0) throw new CommandFailed(1, `${failed} of ${all} are decided otherwise`);
  if (json !== true) terminal.print(`all of ${all} are decided as expected`);
}

function whyNot({ expect, rule }: PolicyCase, decision: Decision): string | undefined {
  if (decision.action !== expect) {
    return `expected ${expect}, but it is ${decision.action} by rule ${decision.rule}`;
  }
  if (rule === undefined || rule === decision.rule) return undefined;
  return `${expect} as expected, but by rule ${decision.rule} instead of ${rule}`;
}
