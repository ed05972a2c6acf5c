import { visibleText } from "../approvals/visible-text.ts";

/** Text from strangers on one line of ours: line breaks and tabs would let it pass for more, or for other columns. */
export function visibleLine(text: string): string {
  return visibleText(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
