import { Command } from "commander";
import { existsSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { PeopleDocument, type Section } from "../config/people-document.ts";
import {
  readPeopleSettings,
  type PeopleFrame,
  type PeopleSettings,
  type PeopleText,
} from "../config/people-file.ts";
import { CommandFailed } from "./command-failed.ts";
import { editFile } from "./edit-file.ts";
import { verifierOfNewPassword } from "./new-password.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { addKey, keysOf, removeKey } from "./user-keys.ts";

interface ConfigOption {
  readonly config: string;
}

interface PasswordOption {
  readonly passwordFile?: string;
}

interface AddOptions extends ConfigOption, PasswordOption {
  readonly role: readonly string[];
  readonly workload?: boolean;
  readonly expires?: string;
  readonly password: boolean;
  readonly key?: string;
}

interface KeysOptions extends ConfigOption {
  readonly add?: string;
  readonly remove?: string;
  readonly json?: boolean;
}

/** `twokey user`: who may log in and sign. A running proxy takes every change up at the next log-in. */
export function userCommand(terminal: Terminal, stdin: Readable = process.stdin): Command {
  const command = new Command("user").description("People and workloads of the people file");
  const sub = (name: string, what: string): Command =>
    command
      .command(name)
      .description(what)
      .requiredOption("--config <file>", "the configuration, whose people_file is edited");
  const passwordFile = [
    "--password-file <file>",
    "file that holds the password (- for standard input); asked for otherwise",
  ] as const;

  sub("add", "Add a person, or with --workload an application or job")
    .argument("<name>", "what they log in as")
    .requiredOption("--role <role...>", "one or more of the configured roles")
    .option("--workload", "an application or job: it never signs")
    .option("--expires <date>", "may not log in from then on, such as 2027-03-31")
    .option(...passwordFile)
    .option("--no-password", "they sign, but don't log in with a password")
    .option("--key <file>", "public SSH key that they sign with, such as id_ed25519.pub")
    .action((name: string, options: AddOptions) => add(name, { options, terminal, stdin }));

  sub("list", "List everybody, those of the configuration itself included")
    .option("--json", "print JSON, one object a line")
    .action((options: ConfigOption & { readonly json?: boolean }) => {
      list(options, terminal);
    });

  sub("disable", "Keep somebody from logging in and signing, from now on")
    .argument("<name>", "who")
    .action((name: string, options: ConfigOption) => {
      setDisabled(name, true, { options, terminal });
    });

  sub("enable", "Let somebody who was disabled log in and sign again")
    .argument("<name>", "who")
    .action((name: string, options: ConfigOption) => {
      setDisabled(name, false, { options, terminal });
    });

  sub("password", "Give somebody a new password; only its SCRAM verifier is kept")
    .argument("<name>", "whose")
    .option(...passwordFile)
    .action((name: string, options: ConfigOption & PasswordOption) =>
      setPassword(name, { options, terminal, stdin }),
    );

  sub("keys", "Show the SSH keys that somebody signs with; add or remove one")
    .argument("<name>", "whose")
    .option("--add <file>", "public SSH key, such as id_ed25519.pub")
    .option("--remove <fingerprint>", "as this command shows it: SHA256:…")
    .option("--json", "print JSON, one object a line")
    .action((name: string, options: KeysOptions) => {
      keys(name, options, terminal);
    });
  return command;
}

interface Context<T> {
  readonly options: T;
  readonly terminal: Terminal;
}

async function add(
  name: string,
  { options, terminal, stdin }: Context<AddOptions> & { readonly stdin: Readable },
): Promise<void> {
  const settings = readPeopleSettings(options.config);
  const file = peopleFileOf(settings, options.config);
  if (isKnown(name, readAll(settings))) throw new CommandFailed(1, `${name} is there already`);
  const section: Section = options.workload === true ? "workloads" : "people";
  if (options.key !== undefined && section === "workloads") {
    throw new CommandFailed(2, "a workload never signs, so it takes no --key");
  }
  const source = { file: options.passwordFile, terminal, stdin };
  const verifier = options.password ? await verifierOfNewPassword(source) : undefined;
  editPeople(file, settings, (document) => {
    document.add(section, name, {
      roles: options.role,
      ...(verifier !== undefined && { verifier }),
      ...(options.expires !== undefined && { expires: options.expires }),
    });
  });
  terminal.print(`${name} is in ${file}`);
  if (options.key !== undefined) {
    keys(name, { config: options.config, add: options.key }, terminal);
  }
}

function list(
  { config, json }: ConfigOption & { readonly json?: boolean },
  terminal: Terminal,
): void {
  const settings = readPeopleSettings(config);
  const { allowedSignersFile } = settings;
  const everybody = readAll(settings).flatMap(({ file, text }) =>
    SECTIONS.flatMap((section) =>
      Object.entries(text[section]).map(([name, principal]) => ({
        name,
        kind: section === "people" ? ("person" as const) : ("workload" as const),
        roles: principal.roles,
        password: (principal.verifier ?? principal.verifier_file) !== undefined,
        keys:
          section === "workloads" || allowedSignersFile === undefined
            ? 0
            : keysOf(name, allowedSignersFile).length,
        disabled: principal.disabled,
        expires: principal.expires?.toISOString(),
        file: file ?? config,
      })),
    ),
  );
  if (json === true) {
    for (const one of everybody) terminal.print(JSON.stringify(one));
    return;
  }
  const rows = everybody.map(({ name, kind, roles, password, keys: count, ...rest }) => [
    name,
    kind,
    roles.join(","),
    password ? "yes" : "no",
    String(count),
    rest.disabled ? "disabled" : stateOf(rest.expires),
    rest.file,
  ]);
  const head = ["NAME", "KIND", "ROLES", "PASSWORD", "KEYS", "STATE", "FILE"];
  for (const line of table(head, rows)) terminal.print(line);
}

function stateOf(expires: string | undefined): string {
  if (expires === undefined) return "active";
  return Date.parse(expires) <= Date.now() ? `expired ${expires}` : `until ${expires}`;
}

function setDisabled(
  name: string,
  isDisabled: boolean,
  { options: { config }, terminal }: Context<ConfigOption>,
): void {
  const settings = readPeopleSettings(config);
  const file = fileOf(name, settings, config);
  editPeople(file, settings, (document) => {
    document.set(name, "disabled", isDisabled ? true : undefined);
  });
  terminal.print(
    isDisabled ? `${name} can neither log in nor sign` : `${name} can log in and sign again`,
  );
  if (isDisabled) {
    terminal.note(
      `sessions that are open stay so: twokey sessions list, twokey sessions terminate`,
    );
  }
}

async function setPassword(
  name: string,
  {
    options: { config, passwordFile },
    terminal,
    stdin,
  }: Context<ConfigOption & PasswordOption> & { readonly stdin: Readable },
): Promise<void> {
  const settings = readPeopleSettings(config);
  const file = fileOf(name, settings, config);
  const verifier = await verifierOfNewPassword({ file: passwordFile, terminal, stdin });
  editPeople(file, settings, (document) => {
    document.set(name, "verifier_file", undefined);
    document.set(name, "verifier", verifier);
  });
  terminal.print(`${name} has a new password`);
}

function keys(name: string, { config, add: added, remove, json }: KeysOptions, terminal: Terminal) {
  const settings = readPeopleSettings(config);
  const file = settings.allowedSignersFile;
  if (file === undefined) {
    throw new CommandFailed(2, `${config} names no approvals.allowed_signers`);
  }
  const names = readAll(settings).flatMap(({ text }) => Object.keys(text.people));
  if (!names.includes(name)) {
    const isWorkload = isKnown(name, readAll(settings));
    throw new CommandFailed(1, isWorkload ? `${name} is a workload: it never signs` : nobody(name));
  }
  if (added !== undefined) {
    const others = names.filter((other) => other !== name);
    const print = addKey(name, { file, publicKeyFile: added, others });
    terminal.print(`${name} signs with ${print}`);
  }
  if (remove !== undefined) {
    removeKey(name, { file, fingerprint: remove });
    terminal.print(`${name} no longer signs with ${remove}`);
  }
  if (added !== undefined || remove !== undefined) return;
  const lines = keysOf(name, file);
  if (json === true) {
    for (const line of lines) terminal.print(JSON.stringify(line));
    return;
  }
  const rows = lines.map(({ line, fingerprint, type, principals, isAuthority, valid_before }) => [
    String(line),
    fingerprint,
    isAuthority ? `authority ${type}` : type,
    principals,
    valid_before ?? "",
  ]);
  const head = ["LINE", "FINGERPRINT", "TYPE", "FOR", "VALID BEFORE"];
  for (const line of table(head, rows)) terminal.print(line);
}

const SECTIONS = ["people", "workloads"] as const satisfies readonly Section[];

interface Source {
  /** `undefined`: the configuration itself. */
  readonly file: string | undefined;
  readonly text: PeopleText;
}

function readAll(settings: PeopleSettings): readonly Source[] {
  const { peopleFile: file, inline } = settings;
  const itself: Source = { file: undefined, text: inline };
  if (file === undefined || !existsSync(file)) return [itself];
  const { people } = new PeopleDocument(readFileSync(file, "utf8"), {
    file,
    frame: frame(settings),
  });
  return [itself, { file, text: people }];
}

function isKnown(name: string, sources: readonly Source[]): boolean {
  return sources.some(({ text }) => SECTIONS.some((section) => Object.hasOwn(text[section], name)));
}

function peopleFileOf({ peopleFile }: PeopleSettings, config: string): string {
  if (peopleFile !== undefined) return peopleFile;
  throw new CommandFailed(2, `${config} names no people_file`, {
    hint: "add the line `people_file: people.yaml` to it; whoever stands in the configuration itself is edited there",
  });
}

/** The file in which somebody can be edited. */
function fileOf(name: string, settings: PeopleSettings, config: string): string {
  const found = readAll(settings).find((source) => isKnown(name, [source]));
  if (found === undefined) throw new CommandFailed(1, nobody(name));
  if (found.file !== undefined) return found.file;
  throw new CommandFailed(1, `${name} stands in ${config} itself`, {
    hint: "edit it there and start twokey anew, or move them to the people_file",
  });
}

function nobody(name: string): string {
  return `nobody is called ${name}`;
}

function editPeople(
  file: string,
  settings: PeopleSettings,
  edit: (document: PeopleDocument) => void,
): void {
  editFile(file, (text) => {
    const document = new PeopleDocument(text, { file, frame: frame(settings) });
    edit(document);
    return document.toString();
  });
}

function frame({ roles, issuers, environments, inline }: PeopleSettings): PeopleFrame {
  const taken = SECTIONS.flatMap((section) => Object.keys(inline[section]));
  return { roles, issuers, environments, taken, surroundings: "skip" };
}
