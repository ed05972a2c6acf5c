import type { Judgement } from "./judgement.ts";

const MAX_CHARACTERS = 120;

/** A statement in a few words: the command, and what it is about. */
export function summarize(node: string, j: Judgement): string {
  const [first] = j.objects;
  const words = node.replace(/Stmt$/, "");
  const name = first === undefined ? "" : ` "${first.name}"`;
  return `${words}${name}`.slice(0, MAX_CHARACTERS);
}
