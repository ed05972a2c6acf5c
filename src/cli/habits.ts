import { Command, Option } from "commander";
import { z } from "zod";
import { profileSchema, type HabitsView } from "../admin/watch-routes.ts";
import { openClient, withApiOptions, type ApiOptions } from "./api-options.ts";
import { CommandFailed } from "./command-failed.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** `twokey habits`: what was learned of people and workloads, and what becomes of the rest. */
export function habitsCommand(terminal: Terminal): Command {
  const command = new Command("habits").description("What is usual for people and workloads");

  withApiOptions(command.command("list"))
    .description("List the profiles")
    .action(async (options: ApiOptions) => {
      list(await profiles(options, terminal), options, terminal);
    });

  withApiOptions(command.command("show"))
    .description("Show the statements that are known of somebody, and those that are not")
    .argument("<name>", "person or workload")
    .action(async (name: string, options: ApiOptions) => {
      show(await profileOf(name, options, terminal), options, terminal);
    });

  withApiOptions(command.command("promote"))
    .description("Have a profile warn of what is not known, or refuse it")
    .argument("<name>", "person or workload")
    .addOption(
      new Option("--to <mode>", "what becomes of what is not known")
        .choices(["warn", "enforce"])
        .makeOptionMandatory(),
    )
    .action((name: string, options: ApiOptions & { readonly to: string }) =>
      post(`${pathOf(name)}/promote`, { to: options.to }, options, terminal),
    );

  withApiOptions(command.command("learn"))
    .description("Take shapes in that were met, told or refused, and are right")
    .argument("<name>", "person or workload")
    .argument("[shape...]", "as shown; 16 hex digits each")
    .option("--all", "all that were met")
    .action((name: string, shapes: string[], options: ApiOptions & { readonly all?: true }) => {
      if (options.all !== true && shapes.length === 0) {
        throw new CommandFailed(2, "say which shapes, or --all");
      }
      const body = options.all === true ? {} : { shapes };
      return post(`${pathOf(name)}/learn`, body, options, terminal);
    });

  withApiOptions(command.command("reset"))
    .description("Forget what was learned of somebody; the mode is the configuration's again")
    .argument("<name>", "person or workload")
    .option("--budgets", "only what they have spent of their budgets")
    .action((name: string, options: ApiOptions & { readonly budgets?: true }) => {
      const what = options.budgets === true ? "budgets" : "everything";
      return post(`${pathOf(name)}/reset`, { what }, options, terminal);
    });

  return command;
}

async function profiles(options: ApiOptions, terminal: Terminal): Promise<readonly HabitsView[]> {
  const { client } = await openClient(options, terminal);
  const answer = z.object({ profiles: z.array(profileSchema) });
  return (await client.call("GET", "/habits", answer)).profiles;
}

async function profileOf(
  name: string,
  options: ApiOptions,
  terminal: Terminal,
): Promise<HabitsView> {
  const found = (await profiles(options, terminal)).find((profile) => profile.name === name);
  if (found === undefined) throw new CommandFailed(1, `nothing was learned of ${name} yet`);
  return found;
}

function list(all: readonly HabitsView[], { json }: ApiOptions, terminal: Terminal): void {
  if (json === true) {
    terminal.print(JSON.stringify(all));
    return;
  }
  if (all.length === 0) {
    terminal.note("nothing was learned yet");
    return;
  }
  const rows = all.map(({ name, mode, habit, since, known, unknown }) => [
    name,
    habit ?? "",
    mode,
    String(known.length),
    String(unknown.length),
    since,
  ]);
  const head = ["name", "habit", "mode", "known", "unknown", "since"];
  for (const line of table(head, rows)) terminal.print(line);
}

function show(profile: HabitsView, { json }: ApiOptions, terminal: Terminal): void {
  if (json === true) {
    terminal.print(JSON.stringify(profile));
    return;
  }
  const rows = [
    ...profile.unknown.map((one) => ["unknown", one, String(one.times)] as const),
    ...profile.known.map((one) => ["known", one, ""] as const),
  ].map(([state, { shape, database, since, sample }, times]) => [
    state,
    shape,
    database,
    since,
    times,
    sample,
  ]);
  const head = ["", "shape", "database", "since", "times", "statement"];
  for (const line of table(head, rows)) terminal.print(line);
}

async function post(
  path: string,
  body: object,
  options: ApiOptions,
  terminal: Terminal,
): Promise<void> {
  const { client } = await openClient(options, terminal);
  await client.call("POST", path, z.undefined(), body);
  terminal.print(options.json === true ? JSON.stringify({ done: true }) : "done");
}

function pathOf(name: string): string {
  return `/habits/${encodeURIComponent(name)}`;
}
