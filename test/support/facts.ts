import { appendFileSync } from "node:fs";

/** Something seen in a run of the clients, for `docs/compatibility.md`. */
export type Fact =
  | {
      /** The same results directly and through Twokey. */
      readonly kind: "feature";
      readonly client: string;
      readonly version: string;
      readonly feature: string;
    }
  /** A feature that every run of `npm test` shows with this client. */
  | { readonly kind: "everyday"; readonly client: string; readonly feature: string }
  | {
      readonly kind: "accident";
      readonly tool: string;
      readonly command: string;
      readonly production: string;
      readonly development: string;
    }
  | { readonly kind: "left out"; readonly client: string; readonly reason: string };

/** Puts it on record where the run of the clients wants that; elsewhere it does nothing. */
export function note(fact: Fact): void {
  const file = process.env["TWOKEY_FACTS"];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(fact)}\n`);
}
