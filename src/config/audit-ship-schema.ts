import { z } from "zod";
import { path, port, secret } from "./schema-parts.ts";
import { duration } from "./units.ts";

const url = z
  .string()
  .regex(/^https?:\/\/[^\s@/]+(\/\S*)?$/, "must be a URL such as https://collector.example:4318")
  .meta({ title: "URL" });

/** Said of every variant, since the reference shows the keys of all in one table. */
const kind = <Kind extends string>(value: Kind): z.ZodLiteral<Kind> =>
  z.literal(value).describe("What it speaks; the other keys depend on it.");

const records = z
  .enum(["all", "checkpoints"])
  .default("all")
  .describe(
    "Every record, or the signed checkpoints only, which show elsewhere that the log's end was cut off.",
  );

const target = url.describe(
  "`otlp`: the collector's base, such as https://collector:4318. `http`: where lines are posted. `s3`: the service with the bucket, such as https://s3.eu-central-1.amazonaws.com/bucket.",
);

const headers = z
  .record(
    z
      .string()
      .regex(/^[a-z0-9-]+$/, "must be a header's name in lower case")
      .meta({ title: "header" }),
    secret,
  )
  .default({})
  .describe(
    "`otlp`, `http`: headers to send, such as `authorization`: where to find their values.",
  );

export const shipSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: kind("otlp"), url: target, headers, records }),
  z.strictObject({ kind: kind("http"), url: target, headers, records }),
  z
    .strictObject({
      kind: kind("syslog"),
      host: z
        .string()
        .min(1)
        .describe("`syslog`: the receiver, which its certificate has to name."),
      port: port.min(1).default(6514).describe("`syslog`: its port."),
      tls: z
        .enum(["on", "off"])
        .default("on")
        .describe("`syslog`: `off` only for a receiver on the same machine."),
      ca: path
        .optional()
        .describe("`syslog`: PEM file of the authority to believe, if not the system's."),
      cert: path
        .optional()
        .describe("`syslog`: our own certificate, where the receiver asks for one."),
      key: path.optional().describe("`syslog`: its private key."),
      records,
    })
    .refine(
      ({ cert, key }) => (cert === undefined) === (key === undefined),
      "cert and key go together",
    ),
  z.strictObject({
    kind: kind("s3"),
    url: target,
    region: z.string().min(1).default("us-east-1").describe("`s3`: its region."),
    prefix: z
      .string()
      .regex(/^([^/\s]+\/)*$/, "must end in /")
      .default("twokey/")
      .describe("`s3`: what the objects' keys begin with."),
    access_key_id: secret.describe("`s3`: where to find the key's id."),
    secret_access_key: secret.describe("`s3`: where to find the key."),
    lock: z
      .strictObject({
        mode: z
          .enum(["compliance", "governance"])
          .describe("Who may still remove them: nobody, or a few."),
        for: duration({ min: "1h" }).describe("For how long."),
      })
      .optional()
      .describe(
        "`s3`: Object Lock, in a bucket that has it: objects can't be removed or replaced.",
      ),
    records,
  }),
]);
