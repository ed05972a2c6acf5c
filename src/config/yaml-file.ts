import { readFileSync } from "node:fs";
import { isNode, isScalar, LineCounter, parseDocument, visit, type Document } from "yaml";
import { ConfigError, ConfigUnreadable, type Source } from "./mistakes.ts";
import { messageOf } from "./schema-parts.ts";

export interface YamlFile {
  readonly source: Source;
  /** What it says, unchecked. */
  readonly raw: unknown;
}

/** @throws ConfigUnreadable, or ConfigError with every mistake of its grammar */
export function readYamlFile(file: string): YamlFile {
  return parseYaml(file, readText(file));
}

/**
 * @param file - its name, for mistakes
 * @throws ConfigError with every mistake of its grammar
 */
export function parseYaml(file: string, text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const source: Source = { file, document, lines };
  const mistakes = syntaxMistakes(source);
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return { source, raw: toPlain(source) };
}

function readText(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    throw new ConfigUnreadable([`${file}:1:1 can't be read: ${messageOf(cause)}`], { cause });
  }
}

function toPlain({ file, document }: Source): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw new ConfigError([`${file}:1:1 ${messageOf(cause)}`], { cause }); // aliases that lead nowhere, or explode
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
