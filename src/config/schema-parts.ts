import { z } from "zod";
import { EFFECTS } from "../sql/classification.ts";

/** Names that people type and that stand in records; no blanks, globs or commas, which other formats give a meaning. */
export const name = z
  .string()
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,62}$/,
    "must be a name of at most 63 letters, digits, and _ . @ + -",
  )
  .meta({ title: "name" });

/** `name` or `schema.name`, as a statement writes it once folded. */
export const qualifiedName = z
  .string()
  .regex(/^[^\s."]+(\.[^\s."]+)?$/u, "must be name or schema.name, without quotes")
  .meta({ title: "name" });

export const effect = z.enum(EFFECTS).meta({ title: "effect" });

export const port = z.int().min(0).max(65_535);

/** Relative to the configuration file's directory. */
export const path = z
  .string("must be the path of a file")
  .min(1, "must be the path of a file")
  .meta({ title: "path" });

/** Where a secret is found. The secret itself has no place in a file that is shown around. */
export const secret = z
  .strictObject(
    {
      env: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of an environment variable")
        .optional()
        .describe("Environment variable that holds it."),
      file: path.optional().describe("File that holds it; a line end at its end does not count."),
    },
    {
      error: ({ code }) =>
        code === "invalid_type"
          ? "a secret does not belong in this file: say {env: NAME} or {file: PATH}"
          : undefined,
    },
  )
  .refine(oneOf("env", "file"), "needs either env or file");

export function nonEmpty<T extends z.ZodType>(item: T): z.ZodArray<T> {
  return z.array(item).min(1, "must hold at least one");
}

/** Whether exactly one of two members is there. */
export function oneOf<A extends string, B extends string>(
  a: A,
  b: B,
): (value: Readonly<Partial<Record<A | B, unknown>>>) => boolean {
  return (value) => (value[a] === undefined) !== (value[b] === undefined);
}

/** Text that `parse` reads; what it throws becomes the mistake. */
export function parsedBy<T>(parse: (text: string) => T): z.ZodType<T, string> {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: messageOf(error), input: text });
      return z.NEVER;
    }
  });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
