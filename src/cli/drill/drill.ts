import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { CommandFailed } from "../command-failed.ts";
import { openStage } from "../demo/stage.ts";
import { withStopSignal } from "../stop-signal.ts";
import type { Terminal } from "../terminal.ts";
import { visibleLine } from "../visible-line.ts";
import { thatMorning } from "./that-morning.ts";
import { STEPS, type Scene, type StepResult } from "./steps.ts";

interface DrillOptions {
  readonly json?: true;
}

/** `twokey drill`: a database is dropped by hand, by program, with and without a second key, and the log is forged. */
export function drillCommand(terminal: Terminal): Command {
  return new Command("drill")
    .description(
      "Replay the morning a production database was dropped, on a throw-away one; 1 if any step fails",
    )
    .option("--json", "print facts as JSON")
    .action((options: DrillOptions) =>
      withStopSignal((signal) => drill(options, terminal, signal)),
    );
}

async function drill(
  { json }: DrillOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const results: StepResult[] = [];
  const directory = mkdtempSync(join(tmpdir(), "twokey-drill-"));
  try {
    terminal.note("starting a throw-away PostgreSQL with a shop in it, and Twokey in front ...");
    const ports = { port: 0, adminPort: 0 };
    const stage = await openStage({ directory, keepsDatabases: false, ...ports, signal });
    try {
      const scene: Scene = { stage, env: terminal.env };
      for (const [index, step] of STEPS.entries()) {
        signal.throwIfAborted();
        const { ok, seen, durationMs } = await step.play(scene);
        const duration_ms = Math.round(durationMs * 10) / 10;
        const result = { step: index + 1, title: step.title, ok, seen, duration_ms };
        results.push(result);
        if (!json) for (const line of describe(result, terminal)) terminal.print(line);
      }
    } finally {
      await stage.stop();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const failed = results.filter(({ ok }) => !ok).length;
  const ok = failed === 0;
  if (json) terminal.print(JSON.stringify({ ok, steps: results }));
  else if (ok) for (const line of ["", ...thatMorning(results)]) terminal.print(line);
  if (!ok) throw new CommandFailed(1, `${failed} of ${results.length} steps went otherwise`);
}

function describe(
  { step, title, ok, seen, duration_ms }: StepResult,
  terminal: Terminal,
): string[] {
  const { bold, dim, green, red } = terminal.colors;
  const mark = ok ? green("✓") : red("✗");
  return [
    `${mark} ${step}  ${bold(title)}  ${dim(`${Math.round(duration_ms)} ms`)}`,
    `     ${visibleLine(seen)}`,
  ];
}
