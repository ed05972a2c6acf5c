import { z } from "zod";
import { nonEmpty, path } from "./schema-parts.ts";
import { isVerifier, NOT_A_VERIFIER } from "./verifier.ts";

/** A person, or a workload. */
export const principalSchema = z
  .strictObject({
    roles: nonEmpty(z.string()).describe("Of `roles`."),
    verifier: z
      .string()
      .refine(isVerifier, NOT_A_VERIFIER)
      .optional()
      .describe("What a password is checked against, in PostgreSQL's format: `SCRAM-SHA-256$…`."),
    verifier_file: path.optional().describe("File that holds the verifier; instead of `verifier`."),
    disabled: z.boolean().default(false).describe("May not log in."),
    expires: z
      .string("must be a date such as 2027-03-31 or a time such as 2027-03-31T18:00:00Z")
      .regex(
        /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/,
        "must be a date such as 2027-03-31 or a time such as 2027-03-31T18:00:00Z",
      )
      .refine(isOnCalendar, "is no day of the calendar")
      .transform((text) => new Date(text))
      .optional()
      .describe("May not log in from then on; a date alone means its midnight in UTC."),
  })
  .refine(
    ({ verifier, verifier_file }) => verifier === undefined || verifier_file === undefined,
    "takes verifier or verifier_file, not both",
  );

/** `Date` takes 30 February for 2 March. */
function isOnCalendar(text: string): boolean {
  const day = text.slice(0, 10);
  const date = new Date(day);
  return (
    !Number.isNaN(Date.parse(text)) &&
    !Number.isNaN(date.getTime()) &&
    date.toISOString().startsWith(day)
  );
}
