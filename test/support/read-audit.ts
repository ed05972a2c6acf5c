import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** Every record that is on disk, in order. */
export function readAudit(directory: string): readonly Readonly<Record<string, unknown>>[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .flatMap((name) => readFileSync(path.join(directory, name), "utf8").split("\n"))
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
