import { z } from "zod";
import { AUTH_METHODS } from "../policy/client.ts";
import { parseNetwork } from "../policy/network.ts";
import { nonEmpty, parsedBy, path } from "./schema-parts.ts";
import { tokenSubjectSchema } from "./tokens-schema.ts";
import { isVerifier, NOT_A_VERIFIER } from "./verifier.ts";

const certificateName = z
  .string()
  .regex(
    /^[^\s\p{Cc}"\\,+<>;*]{1,255}$/u,
    "must be a name as it stands in the certificate, without blanks or wildcards",
  );

/** By what a certificate names somebody. */
const certificateSchema = z
  .strictObject({
    common_name: certificateName.optional().describe("CN of its subject, the only one."),
    email: certificateName.optional().describe("An e-mail address in its subjectAltName."),
    dns: certificateName.optional().describe("A DNS name in its subjectAltName."),
  })
  .refine(
    (names) => Object.values(names).filter((given) => given !== undefined).length === 1,
    "needs one of common_name, email and dns",
  );

const placeSchema = z
  .strictObject({
    environments: nonEmpty(z.string()).optional().describe("By default all."),
    clients: nonEmpty(parsedBy(parseNetwork))
      .optional()
      .describe("Addresses or networks; `local` is the Unix socket."),
    auth_methods: nonEmpty(z.enum(AUTH_METHODS))
      .optional()
      .describe("Proved in one of these ways."),
    application_names: nonEmpty(z.string().min(1))
      .optional()
      .describe(
        "What the program says it is, which proves nothing. Patterns may have `*` and `?`.",
      ),
  })
  .refine(
    (asked) => Object.keys(asked).some((key) => key !== "environments"),
    "needs clients, auth_methods or application_names",
  );

const ASKS_FOR = ["password", "upstream", "token", "cleartext", "md5"] as const;

/** A person, or a workload. */
export const principalSchema = z
  .strictObject({
    roles: nonEmpty(z.string()).describe("Of `roles`."),
    verifier: z
      .string()
      .refine(isVerifier, NOT_A_VERIFIER)
      .optional()
      .describe(
        "What a password is checked against, in PostgreSQL's format: `SCRAM-SHA-256$…`; with `asks_for: md5`, `md5…`.",
      ),
    verifier_file: path.optional().describe("File that holds the verifier; instead of `verifier`."),
    certificates: z
      .array(certificateSchema)
      .default([])
      .describe(
        "Client certificates that prove them without a password, where `listen.tls.client_ca` vouches for these.",
      ),
    tokens: z
      .array(tokenSubjectSchema)
      .default([])
      .describe("Signed tokens that prove them without a password."),
    asks_for: z
      .enum(ASKS_FOR)
      .default("password")
      .describe(
        "What they are asked for: `password` by SCRAM, or a token where the program can send one (OAUTHBEARER); `token` as a " +
          "password, for any program. For programs that know no SCRAM, `cleartext` and `md5`. These three over TLS only. " +
          "`upstream`: their password on the server, as which Twokey then logs in there (`upstreams.NAME.verifiers`).",
      ),
    read_only: z
      .boolean()
      .default(false)
      .describe("Their sessions only read, as those of `environments.NAME.read_only`."),
    only_from: z
      .array(placeSchema)
      .default([])
      .describe(
        "Where they may log in from, and how: one of these must hold. An environment that none of them names is not tied.",
      ),
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
