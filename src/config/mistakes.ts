import { isMap, isNode, isScalar, type Document, type LineCounter } from "yaml";

export type Path = readonly (string | number)[];

/** Something wrong with the file: where, and what would be right. */
export interface Mistake {
  readonly path: Path;
  /** Whether the key is wrong, or what it stands for. */
  readonly of: "key" | "value";
  readonly message: string;
}

/** The file can't be used. Every mistake is one line: `FILE:LINE:COLUMN PATH - what is wrong, and what would be right`. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[], options?: ErrorOptions) {
    super(mistakes.join("\n"), options);
    this.name = new.target.name;
    this.mistakes = mistakes;
  }
}

/** The file could not be read at all. */
export class ConfigUnreadable extends ConfigError {}

/** The file that mistakes are in. */
export interface Source {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
}

/** Mistakes as text, in the order of the file. */
export function describeMistakes(
  mistakes: readonly Mistake[],
  { file, document, lines }: Source,
): string[] {
  return mistakes
    .map((mistake) => ({ ...mistake, offset: offsetOf(document, mistake) }))
    .sort((a, b) => a.offset - b.offset)
    .map(({ path, message, offset }) => {
      const { line, col } = lines.linePos(offset);
      const where = path.length === 0 ? "" : `${path.join(".")} - `;
      return `${file}:${line}:${col} ${where}${message}`;
    });
}

/** Where the path ends in the file; what is not there is shown at the key of what should hold it. */
function offsetOf(document: Document, { path, of }: Pick<Mistake, "path" | "of">): number {
  if (of === "key") {
    const offset = keyOffset(document, path);
    if (offset !== undefined) return offset;
  }
  const node: unknown = document.getIn(path, true);
  if (isNode(node) && node.range) return node.range[0];
  return path.length === 0 ? 0 : offsetOf(document, { path: path.slice(0, -1), of: "key" });
}

function keyOffset(document: Document, path: Path): number | undefined {
  const parent: unknown = document.getIn(path.slice(0, -1), true);
  if (!isMap(parent)) return undefined;
  const last = String(path.at(-1));
  for (const { key } of parent.items) {
    if (isScalar(key) && String(key.value) === last) return key.range?.[0];
  }
  return undefined;
}
