import { z } from "zod";

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** `30s`, `24h`: a whole number and its unit; milliseconds come out. */
export function duration(bounds: { min?: string; max?: string } = {}): z.ZodType<number, string> {
  return quantity(
    "duration",
    MILLISECONDS,
    "a duration such as 500ms, 30s, 15m, 24h or 7d",
    bounds,
  );
}

/** `64MiB`: a whole number and its unit; bytes come out. */
export function size(bounds: { min?: string; max?: string } = {}): z.ZodType<number, string> {
  return quantity("size", BYTES, "a size such as 512KiB, 64MiB or 1GiB", bounds);
}

function quantity(
  title: string,
  units: Readonly<Record<string, number>>,
  what: string,
  { min, max }: { min?: string; max?: string },
): z.ZodType<number, string> {
  const form = new RegExp(`^(\\d{1,9})(${Object.keys(units).join("|")})$`);
  const amount = (text: string): number => {
    const [, digits, unit = ""] = form.exec(text) ?? [];
    return Number(digits) * (units[unit] ?? NaN);
  };
  return z
    .string(`must be ${what}`)
    .regex(form, `must be ${what}`)
    .refine((text) => min === undefined || amount(text) >= amount(min), `must be at least ${min}`)
    .refine((text) => max === undefined || amount(text) <= amount(max), `must be at most ${max}`)
    .meta({ title })
    .transform(amount);
}
