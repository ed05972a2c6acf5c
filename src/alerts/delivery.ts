import type { Alert } from "./alert.ts";

/** What came of one attempt. */
export type Delivery =
  | { readonly kind: "delivered" }
  /** `isFinal`: it is this alert that they won't take, so trying again is of no use. */
  | {
      readonly kind: "failed";
      readonly why: string;
      readonly isFinal: boolean;
      readonly retryAfterMs?: number | undefined;
    };

/** One attempt at delivery; a thrown error counts as a failure to be tried again. */
export type Send = (alert: Alert, signal: AbortSignal) => Promise<Delivery>;

export const DELIVERED: Delivery = { kind: "delivered" };
