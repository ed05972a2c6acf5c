import type { Brand } from "../base/brand.ts";
import { Malformed } from "./malformed.ts";

/** `2026-11-23T17:00:00Z`: RFC 3339 in UTC with whole seconds. As text they sort as in time. */
export type Instant = Brand<string, "Instant">;

const SHAPE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** @throws RangeError outside the years 0 to 9999 */
export function formatInstant(at: Date): Instant {
  const text = at.toISOString();
  if (text.length !== 24) throw new RangeError("not a year of four digits");
  return `${text.slice(0, 19)}Z` as Instant;
}

/** @throws Malformed unless `text` is a date and time that exist, in that one spelling */
export function parseInstant(text: string): Instant {
  const at = new Date(SHAPE.test(text) ? text : NaN);
  // February 30th is rolled over to March by some parsers, hence the way back.
  if (Number.isNaN(at.getTime()) || formatInstant(at) !== text) {
    throw new Malformed("not a time such as 2026-11-23T17:00:00Z");
  }
  return text as Instant;
}

export function addSeconds(instant: Instant, seconds: number): Instant {
  return formatInstant(new Date(Date.parse(instant) + seconds * 1000));
}
