import { ConnectionRefused, SQLSTATE } from "../base/errors.ts";

/** A setting that a frontend asks for before its first statement. */
export interface StartupSetting {
  readonly name: string;
  readonly value: string;
}

/**
 * The settings among start-up parameters, those inside `options` last as the server applies them.
 *
 * @throws ConnectionRefused for switches in `options` other than `-c name=value` and `--name=value`
 */
export function startupSettings(parameters: ReadonlyMap<string, string>): StartupSetting[] {
  const settings: StartupSetting[] = [];
  for (const [name, value] of parameters) {
    if (!NOT_SETTINGS.has(name)) settings.push({ name, value });
  }
  settings.push(...optionSettings(splitOptions(parameters.get("options") ?? "")));
  for (const { name } of settings) if (PRELOADS.has(name.toLowerCase())) throw refused(name);
  return settings;
}

/** What the frontend calls itself; the last that says so counts. */
export function applicationNameIn(parameters: ReadonlyMap<string, string>): string {
  const isIt = ({ name }: StartupSetting): boolean => name.toLowerCase() === "application_name";
  return startupSettings(parameters).findLast(isIt)?.value ?? "";
}

// SET only stores them; in a start-up packet they make the server load code before the first statement.
const PRELOADS = new Set([
  "session_preload_libraries",
  "local_preload_libraries",
  "shared_preload_libraries",
]);

const NOT_SETTINGS = new Set(["user", "database", "options", "replication"]);

/** The same as a statement, so that it passes the rules that SET passes. */
export function asSetStatement({ name, value }: StartupSetting): string {
  const quotedName = name
    .split(".")
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join(".");
  return `SET ${quotedName} TO '${value.replaceAll("'", "''")}'`;
}

// Blanks separate, a backslash takes the next character as it is (pg_split_opts).
function splitOptions(options: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < options.length; i++) {
    const character = options.charAt(i);
    if (/[ \t\n\v\f\r]/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + (character === "\\" ? options.charAt(++i) : character);
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

function optionSettings(words: readonly string[]): StartupSetting[] {
  const settings: StartupSetting[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "-c") settings.push(assignment(words[++i] ?? ""));
    else if (word.startsWith("-c")) settings.push(assignment(word.slice(2)));
    else if (word.startsWith("--")) settings.push(assignment(word.slice(2)));
    else throw refused(word);
  }
  return settings;
}

function assignment(text: string): StartupSetting {
  const equals = text.indexOf("=");
  if (equals < 1) throw refused(text);
  // As the server does: dashes in a switch's name stand for underscores.
  const name = text.slice(0, equals).replaceAll("-", "_").toLowerCase();
  return { name, value: text.slice(equals + 1) };
}

function refused(word: string): ConnectionRefused {
  return new ConnectionRefused(
    SQLSTATE.featureNotSupported,
    `twokey does not pass on the startup option "${word}"`,
    { hint: "in options, only -c name=value and --name=value are understood" },
  );
}
