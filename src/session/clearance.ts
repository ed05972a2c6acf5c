import type { Judged } from "./judged.ts";

/** Tells the server that a statement which drops something is meant to; see `provision/second-lock-sql.ts`. */
export interface Clearance {
  /**
   * @param text - as the server receives it
   * @returns takes the clearance back, once the statement has ended
   * @throws UpstreamUnavailable when it can't be cleared: then it must not be sent
   */
  readonly clear: (text: string) => Promise<() => void>;
}

/**
 * What may drop something: by what is seen in it, or, once somebody has signed, by what is not. Unsigned, nothing is cleared
 * that runs unseen code as well: that could drop under cover of the rest.
 */
export function needsClearance({ classification }: Judged, isSigned: boolean): boolean {
  if (isSigned) return true;
  const effects: readonly string[] = classification.effects;
  if (effects.includes("opaque")) return false;
  return effects.includes("ddl") || effects.includes("destructive_ddl");
}
