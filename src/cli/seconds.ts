import { InvalidArgumentError } from "commander";

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `30m`, `8h`, `1d`. @returns seconds */
export function parseSeconds(text: string): number {
  const [, digits, unit] = /^([1-9]\d{0,6})([smhd])$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError("Not a duration such as 30m or 8h.");
  return Number(digits) * SECONDS[unit as keyof typeof SECONDS];
}
