import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { isNode, isScalar, LineCounter, parseDocument, visit, type Document } from "yaml";
import { checkWhole } from "./checks.ts";
import type { Config } from "./config.ts";
import { describeIssue, toMistakes } from "./issues.ts";
import {
  ConfigError,
  ConfigUnreadable,
  describeMistakes,
  type Mistake,
  type Source,
} from "./mistakes.ts";
import { checkReferences } from "./references.ts";
import { configSchema } from "./schema.ts";
import { messageOf } from "./schema-parts.ts";
import { checkSurroundings } from "./surroundings.ts";
import { toConfig } from "./to-config.ts";

export interface LoadOptions {
  readonly env?: NodeJS.ProcessEnv;
  /**
   * `skip` leaves alone the files and variables that the configuration names, so that it can be checked where they
   * are not: `verifier_file`s then give no verifier.
   */
  readonly surroundings?: "check" | "skip";
}

/** @throws ConfigError with every mistake of the file, or when it can't be read */
export function loadConfig(
  path: string,
  { env = process.env, surroundings = "check" }: LoadOptions = {},
): Config {
  const file = resolve(path);
  const lines = new LineCounter();
  const document = parseDocument(readText(path), { lineCounter: lines, prettyErrors: false });
  const source: Source = { file: path, document, lines };
  const unreadable = syntaxMistakes(source);
  if (unreadable.length > 0) throw new ConfigError(unreadable);

  const raw = toPlain(source);
  const parsed = configSchema.safeParse(raw, { error: describeIssue });
  const mistakes: Mistake[] = [
    ...(parsed.success ? [] : toMistakes(parsed.error.issues)),
    ...checkReferences(raw),
    ...(surroundings === "check" ? checkSurroundings(raw, { directory: dirname(file), env }) : []),
  ];
  if (!parsed.success || mistakes.length > 0) {
    throw new ConfigError(describeMistakes(mistakes, source));
  }
  const config = toConfig(parsed.data, { file, readsFiles: surroundings === "check" });
  const contradictions = checkWhole(parsed.data, config);
  if (contradictions.length > 0) throw new ConfigError(describeMistakes(contradictions, source));
  return config;
}

function toPlain({ file, document }: Source): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw new ConfigError([`${file}:1:1 ${messageOf(cause)}`], { cause }); // aliases that lead nowhere, or explode
  }
}

function readText(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw new ConfigUnreadable([`${path}:1:1 can't be read: ${messageOf(cause)}`], { cause });
  }
}

function syntaxMistakes({ file, document, lines }: Source): string[] {
  const { errors, warnings } = document;
  // Once the grammar is lost, what follows is only its echo.
  const lost = errors.findIndex(({ code }) => code === "UNEXPECTED_TOKEN");
  const told = errors.filter(({ code }, index) => code !== "UNEXPECTED_TOKEN" || index === lost);
  return [...told, ...warnings, ...forbiddenKeys(document)].map(({ pos, message }) => {
    const { line, col } = lines.linePos(pos[0]);
    return `${file}:${line}:${col} ${message}`;
  });
}

/** Keys that objects made from YAML would swallow or bend without a word. */
function forbiddenKeys(document: Document): { pos: readonly [number]; message: string }[] {
  const found: { pos: readonly [number]; message: string }[] = [];
  visit(document, {
    Pair(_, { key }) {
      if (isScalar(key) && typeof key.value === "string" && key.value !== "__proto__") return;
      const pos = [(isNode(key) ? key.range?.[0] : undefined) ?? 0] as const;
      found.push({ pos, message: "is no name for anything: write plain text, or quote it" });
    },
  });
  return found;
}
