import type { NumberedLine } from "../store/audit-cursor.ts";

/** Records of one chain that go out together, in order. */
export interface Shipment {
  readonly chain: string;
  readonly lines: readonly NumberedLine[];
}

/**
 * Sends records to one receiver.
 *
 * @throws Error unless the receiver has said that it has all of them, as far as its protocol lets it say so
 */
export type Send = (shipment: Shipment, signal: AbortSignal) => Promise<void>;
