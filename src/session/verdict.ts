import { TwokeyError } from "../base/errors.ts";
import { undecidedRefusal, type Refusal } from "./refusal.ts";
import type { Execution } from "./session-recorder.ts";

export interface Refused {
  readonly kind: "refuse";
  readonly refusal: Refusal;
}

/** What becomes of a message that runs nothing yet. */
export type Verdict = { readonly kind: "forward" } | Refused;

/** What becomes of a `Bind`, with the run that was permitted with it. */
export type BindVerdict =
  { readonly kind: "forward"; readonly execution?: Execution | undefined } | Refused;

/** What becomes of one that does. */
export type RunVerdict = { readonly kind: "forward"; readonly execution: Execution } | Refused;

export const FORWARD = { kind: "forward" } as const;

export function withoutRun(verdict: RunVerdict): Verdict {
  return verdict.kind === "forward" ? FORWARD : verdict;
}

export function refuse(refusal: Refusal): Refused {
  return { kind: "refuse", refusal };
}

/** What can't be decided or recorded does not run; an error that nobody foresaw ends the session. */
export function refuseUndecided(error: unknown): Refused {
  if (error instanceof TwokeyError) return refuse(undecidedRefusal(error));
  throw error;
}
