import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { readAdministrator } from "../provision/administrator.ts";
import { examine } from "../provision/doctor.ts";
import type { Diagnosis, Finding, Severity } from "../provision/finding.ts";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

interface DoctorOptions {
  readonly config: string;
  readonly upstream?: string;
  readonly asAdmin?: string;
  readonly json?: boolean;
}

/** `twokey doctor`: the ways around Twokey, worst first, each with what mends it. */
export function doctorCommand(terminal: Terminal): Command {
  return new Command("doctor")
    .description(
      "Look for ways around Twokey, on the servers and in the configuration; 0 for none, 1 for some, 2 where it could not look",
    )
    .requiredOption("--config <file>", "the configuration")
    .option("--upstream <name>", "look at this one's databases only")
    .option(
      "--as-admin <place>",
      "env:NAME or file:PATH that holds a superuser's URL: some things only a superuser sees",
    )
    .option("--json", "print JSON")
    .action((options: DoctorOptions) => doctor(options, terminal));
}

async function doctor(
  { config: file, upstream, asAdmin, json }: DoctorOptions,
  terminal: Terminal,
): Promise<void> {
  const config = loadConfig(file, { env: terminal.env });
  const administrator =
    asAdmin === undefined ? undefined : readAdministrator(asAdmin, terminal.env);
  if (upstream !== undefined && !config.upstreams.has(upstream)) {
    throw new CommandFailed(2, `no upstream "${upstream}" in ${file}`);
  }
  // What is seen with the one's administrator must not be told of the other.
  if (administrator !== undefined && upstream === undefined && config.upstreams.size > 1) {
    throw new CommandFailed(2, "say whose administrator this is: --upstream NAME");
  }
  const diagnosis = await examine(config, { upstream, administrator, at: new Date() });
  if (json === true) terminal.print(JSON.stringify(diagnosis));
  else show(diagnosis, terminal);
  const { findings, unseen } = diagnosis;
  if (findings.length > 0) throw new CommandFailed(1, count(findings.length, "finding"));
  if (unseen.length > 0) {
    throw new CommandFailed(
      2,
      `nothing found, but ${count(unseen.length, "thing")} could not be looked at`,
    );
  }
}

function show({ findings, unseen }: Diagnosis, { print, colors }: Terminal): void {
  for (const { severity, check, where, what, why, fix } of findings) {
    const label = isGrave(severity) ? colors.red(severity) : colors.yellow(severity);
    print(`${label}  ${check}, ${visibleLine(where)}`);
    print(`  ${visibleLine(what)}`);
    print(`  ${colors.dim("why:")} ${visibleLine(why)}`);
    print(`  ${colors.dim("fix:")} ${visibleLine(fix)}`);
  }
  for (const { check, where, why } of unseen) {
    print(`${colors.dim("not seen")}  ${check}, ${visibleLine(where)}: ${visibleLine(why)}`);
  }
  if (findings.length === 0 && unseen.length === 0) print("no way around Twokey found");
}

function isGrave(
  severity: Finding["severity"],
): severity is Extract<Severity, "critical" | "high"> {
  return severity === "critical" || severity === "high";
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? "" : "s"}`;
}
