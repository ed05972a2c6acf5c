import { formatInstant } from "../approvals/instant.ts";
import type { Asked } from "../approvals/request.ts";
import { maskLiterals } from "../sql/mask-literals.ts";
import type { Judged } from "./judged.ts";

const KEPT = 10;
const MAX_CHARACTERS = 500;

/** What a session ran last, for whoever is asked to sign for what comes next. Costs the way of a statement one write. */
export class RecentStatements {
  readonly #kept: ({ readonly judged: Judged; readonly atMs: number } | undefined)[] = [];
  #next = 0;

  ran(judged: Judged, atMs: number): void {
    this.#kept[this.#next] = { judged, atMs };
    this.#next = (this.#next + 1) % KEPT;
  }

  /** The newest last; long texts are cut, and passwords are not in them. */
  list(literals: "keep" | "mask"): NonNullable<Asked["recent"]> {
    const inOrder = [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)];
    return inOrder.flatMap((one) =>
      one === undefined
        ? []
        : [{ at: formatInstant(new Date(one.atMs)), sql: shown(one.judged.text, literals) }],
    );
  }
}

function shown(text: string, literals: "keep" | "mask"): string {
  const masked = maskLiterals(text, literals === "mask" ? "all" : "passwords");
  if (masked.length <= MAX_CHARACTERS) return masked;
  // A cut may fall into a pair of surrogates, which no document can hold.
  return `${masked.slice(0, MAX_CHARACTERS).toWellFormed()} …`;
}
