import type { z } from "zod";
import { didYouMean } from "./did-you-mean.ts";
import type { Mistake } from "./mistakes.ts";

/** What the schema has to say of a value, in our words. A schema's own message goes before this one. */
export const describeIssue: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? `is missing: must be ${article(issue.expected)}`
        : `must be ${article(issue.expected)}, not ${kindOf(issue.input)}`;
    case "invalid_value":
      return oneOf(issue.input, issue.values);
    case "unrecognized_keys":
      // Only here are the keys known that would have been right; `toMistakes` makes the sentence.
      return knownKeys(issue.inst).join(" ");
    case "invalid_union":
      return oneOf(memberOf(issue.input, issue.discriminator), listOf(issue.options));
    case "too_small":
      return `must be at least ${issue.minimum}`;
    case "too_big":
      return `must be at most ${issue.maximum}`;
    default:
      return undefined;
  }
};

export function toMistakes(issues: readonly z.core.$ZodIssue[]): Mistake[] {
  return issues.flatMap((issue): Mistake[] => {
    const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
    switch (issue.code) {
      case "unrecognized_keys":
        return issue.keys.map((key) => ({
          path: [...path, key],
          of: "key",
          message: `is not known here${didYouMean(key, issue.message.split(" "))}`,
        }));
      case "invalid_key":
        return [{ path, of: "key", message: issue.issues[0]?.message ?? issue.message }];
      default:
        return [{ path, of: "value", message: issue.message }];
    }
  });
}

function knownKeys(schema: z.core.$ZodRawIssue["inst"]): string[] {
  const def = schema?._zod.def;
  return def !== undefined && "shape" in def ? Object.keys(def.shape as object) : [];
}

function oneOf(input: unknown, values: readonly unknown[]): string {
  const known = values.map(String);
  const suggestion = typeof input === "string" ? didYouMean(input, known) : "";
  return `must be ${known.length > 1 ? "one of " : ""}${known.join(", ")}${suggestion}`;
}

function memberOf(input: unknown, key: unknown): unknown {
  return typeof input === "object" && input !== null && typeof key === "string"
    ? (input as Record<string, unknown>)[key]
    : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function article(expected: string): string {
  switch (expected) {
    case "object":
    case "record":
      return "keys with values";
    case "array":
      return "a list";
    case "int":
    case "number":
      return "a whole number";
    case "boolean":
      return "true or false";
    default:
      return `a ${expected}`;
  }
}

function kindOf(input: unknown): string {
  if (input === null) return "empty";
  if (Array.isArray(input)) return "a list";
  return typeof input === "object" ? "keys with values" : `a ${typeof input}`;
}
