import { dirname, resolve } from "node:path";
import { sha256 } from "../base/digest.ts";
import { readYamlFile } from "./yaml-file.ts";

/**
 * What a configuration says, a line a setting: its path to its value as JSON. What may be a secret is there as a SHA-256,
 * so that a change shows and the value does not. The people file's are under its name.
 */
export type Settings = ReadonlyMap<string, string>;

/** @throws ConfigError when a file can't be read */
export function readSettings(file: string): Settings {
  const settings = new Map<string, string>();
  const { raw } = readYamlFile(file);
  collect(raw, "", settings);
  const people = (raw as { people_file?: unknown } | null)?.people_file;
  if (typeof people === "string") {
    collect(readYamlFile(resolve(dirname(file), people)).raw, `${people}: `, settings);
  }
  return settings;
}

/** What is different, one line a setting, as a person reads it: `rules[2].action: "allow" -> "block"`. */
export function settingChanges(before: Settings, after: Settings): string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((path) => {
    const [from, to] = [before.get(path), after.get(path)];
    if (from === to) return [];
    if (from === undefined) return [`${path}: ${shown(to ?? "")} added`];
    if (to === undefined) return [`${path}: ${shown(from)} removed`];
    if (isHidden(from) || isHidden(to)) return [`${path}: changed`];
    return [`${path}: ${from} -> ${to}`];
  });
}

const HIDDEN = "sha256:";
const SECRET = /verifier|password|secret|token|routing_key|url$/;

function collect(value: unknown, path: string, into: Map<string, string>): void {
  if (Array.isArray(value) && value.length > 0 && value.some((item) => typeof item === "object")) {
    value.forEach((item, i) => {
      collect(item, `${path}[${nameOf(item) ?? i}]`, into);
    });
  } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const separator = path === "" || path.endsWith(" ") ? "" : ".";
    for (const [name, member] of Object.entries(value)) {
      collect(member, `${path}${separator}${name}`, into);
    }
  } else {
    const json = JSON.stringify(value);
    const isSecret =
      typeof value === "string" && SECRET.test(path.slice(path.lastIndexOf(".") + 1));
    into.set(path, isSecret ? `${HIDDEN}${sha256(json)}` : json);
  }
}

/** A rule that moves is still the same rule. */
function nameOf(item: unknown): string | undefined {
  const name = (item as { name?: unknown } | null)?.name;
  return typeof name === "string" ? name : undefined;
}

function isHidden(value: string): boolean {
  return value.startsWith(HIDDEN);
}

function shown(value: string): string {
  return isHidden(value) ? "[hidden]" : value;
}
