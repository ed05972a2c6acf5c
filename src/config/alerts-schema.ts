import { z } from "zod";
import { name, nonEmpty, path, port, secret } from "./schema-parts.ts";
import { duration } from "./units.ts";

/** What can be alerted about; `docs/reference/alerts.md` says when each happens. */
export const ALERT_EVENTS = [
  "statement.refused",
  "statement.observed",
  "statement.held",
  "statement.approved",
  "statement.break_glass",
  "statement.failed",
  "request.created",
  "request.signed",
  "request.rejected",
  "request.break_glass",
  "request.unreviewed",
  "request.reviewed",
  "login.failed",
  "login.new_address",
  "login.new_program",
  "unusual.statement",
  "unusual.rows",
  "unusual.budget",
  "unusual.hours",
  "unusual.honeypot",
  "audit.unavailable",
  "audit.available",
  "audit.tampered",
  "backup.failed",
  "backup.stale",
  "backup.fresh",
  "upstream.down",
  "upstream.up",
  "config.changed",
] as const;

export const SEVERITIES = ["info", "warning", "critical"] as const;

const url = z
  .string()
  .regex(/^https?:\/\/[^\s@/]+(\/\S*)?$/, "must be a URL such as https://alerts.example/twokey")
  .meta({ title: "URL" });

const address = z
  .string()
  .regex(/^[^\s@<>,;"]+@[^\s@<>,;"]+$/, "must be one e-mail address, without a name around it")
  .meta({ title: "address" });

/** Said of every variant, since the reference shows the keys of all in one table. */
const kind = <Kind extends string>(value: Kind): z.ZodLiteral<Kind> =>
  z.literal(value).describe("What it speaks; the other keys depend on it.");

const sinkUrl = url.describe(
  "`webhook`: where alerts are posted. `alertmanager`: its base, such as http://alertmanager:9093. " +
    "`pagerduty`: where events are posted, if not to https://events.pagerduty.com/v2/enqueue.",
);

const sinkSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: kind("slack"),
    webhook: secret.describe(
      "`slack`: where to find the URL of its incoming webhook, which is a secret by itself.",
    ),
  }),
  z.strictObject({
    kind: kind("webhook"),
    url: sinkUrl,
    secret: secret.describe("`webhook`: where to find the key that signs what is posted."),
  }),
  z
    .strictObject({
      kind: kind("email"),
      host: z.string().min(1).describe("`email`: the SMTP server."),
      port: port
        .min(1)
        .optional()
        .describe("`email`: by default 587, and 465 with `tls: implicit`."),
      tls: z
        .enum(["starttls", "implicit", "off"])
        .default("starttls")
        .describe("`email`: encryption to the server; where it can't be had, nothing is sent."),
      user: z.string().min(1).optional().describe("`email`: who logs in to the server."),
      password: secret.optional().describe("`email`: where to find the password of `user`."),
      from: address.describe("`email`: the sender."),
      to: nonEmpty(address).describe("`email`: everybody who gets it."),
    })
    .refine(
      (mail) => (mail.user === undefined) === (mail.password === undefined),
      "user and password go together",
    ),
  z.strictObject({
    kind: kind("pagerduty"),
    routing_key: secret.describe("`pagerduty`: where to find the integration key (Events API v2)."),
    url: sinkUrl.default("https://events.pagerduty.com/v2/enqueue"),
  }),
  z.strictObject({ kind: kind("alertmanager"), url: sinkUrl }),
]);

const alertRuleSchema = z.strictObject({
  name: name.describe("People see it in every alert."),
  on: nonEmpty(z.enum(ALERT_EVENTS)).describe("What it is about."),
  environments: nonEmpty(z.string()).optional().describe("Only in one of these."),
  people: nonEmpty(z.string()).optional().describe("Only of one of these, once logged in."),
  workloads: nonEmpty(z.string()).optional().describe("Only of one of these, once logged in."),
  destructive: z
    .boolean()
    .optional()
    .describe("Only of statements that lose data or structure, or only of those that don't."),
  rules: nonEmpty(name)
    .optional()
    .describe("Only what one of these decided or found: rules of the policy, or of `habits`."),
  sqlstates: nonEmpty(
    z
      .string()
      .regex(/^[0-9A-Z]{2}([0-9A-Z]{3})?$/, "must be an SQLSTATE such as 42703, or its class 42"),
  )
    .optional()
    .describe("Of `statement.failed`: only with one of these, or of one of these classes."),
  times: z
    .int()
    .min(1)
    .max(1000)
    .default(1)
    .describe("How often it has to happen within `within` before anybody is told."),
  within: duration({ min: "1s", max: "1d" }).prefault("1m").describe("The time for `times`."),
  counted_by: z
    .enum(["person", "session", "address", "nothing"])
    .default("person")
    .describe(
      "Whose times are added up; `person` is whoever they say they are at a failed login, `session` the person where there is none.",
    ),
  severity: z.enum(SEVERITIES).default("warning").describe("How bad it is."),
  sinks: nonEmpty(z.string()).optional().describe("Who is told; by default all of `sinks`."),
  silence: z
    .strictObject({
      until: z.iso
        .datetime({ offset: true, error: "must be a time such as 2027-01-31T18:00:00Z" })
        .transform((text) => new Date(text))
        .describe("From then on it alerts again."),
      reason: z.string().min(1).max(500).describe("Why; it stands in the log at every start."),
    })
    .optional()
    .describe("Says nothing for a time."),
});

export const alertsSchema = z
  .strictObject({
    sinks: z
      .record(name, sinkSchema)
      .default({})
      .describe("Where alerts go, by name; without any, there are none."),
    rules: nonEmpty(alertRuleSchema)
      .optional()
      .describe(
        "What is alerted about; each rule that matches makes its own alert. Without it, those of the alerts reference.",
      ),
    statements: z
      .enum(["summary", "text"])
      .default("summary")
      .describe(
        'What alerts show of a statement: `DROP DATABASE "shop"`, or the beginning of its text as well, with whatever secret stands in it.',
      ),
    request_url: z
      .string()
      .regex(/^https?:\/\/\S*\{request\}\S*$/, "must be a URL with {request} in it")
      .optional()
      .describe("A page about a request, linked from alerts: a URL with `{request}` in it."),
    group_for: duration({ min: "1s", max: "1h" })
      .prefault("5m")
      .describe("The same again within this time is counted, and told once at its end."),
    max_per_minute: z
      .int()
      .min(1)
      .max(1000)
      .default(20)
      .describe("Alerts of one rule about one person; the rest is told as one."),
    give_up_after: duration({ min: "1m", max: "30d" })
      .prefault("24h")
      .describe("How long delivery of an alert is tried again."),
    directory: path
      .default("data/alerts")
      .describe("Where alerts wait for delivery, and what is known of people's addresses."),
  })
  .prefault({})
  .describe("Who is told what, at once. The [alerts reference](alerts.md) has the details.");

export type AlertsText = z.output<typeof alertsSchema>;
