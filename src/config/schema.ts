import { z } from "zod";
import { LARGEST_MESSAGE_BYTES } from "../wire/message-types.ts";
import type { LogLevel } from "../telemetry/log.ts";
import { ruleSchema, approvalSchema } from "./rule-schema.ts";
import { name, nonEmpty, oneOf, path, secret } from "./schema-parts.ts";
import { duration, size } from "./units.ts";
import { isVerifier, NOT_A_VERIFIER } from "./verifier.ts";

const LOG_LEVELS = [
  "trace",
  "debug",
  "info",
  "warn",
  "error",
  "fatal",
  "silent",
] as const satisfies readonly LogLevel[];

const port = z.int().min(0).max(65_535);

const listenSchema = z
  .strictObject({
    host: z
      .string()
      .default("127.0.0.1")
      .describe(
        "Address to listen on. Beyond this machine only with `tls` said, one way or the other.",
      ),
    port: port.default(6543).describe("`0` takes any free one."),
    unix_socket: path
      .optional()
      .describe("Directory for a Unix socket `.s.PGSQL.PORT`, as PostgreSQL's own."),
    tls: z
      .strictObject({
        mode: z
          .enum(["off", "allow", "require"])
          .default("require")
          .describe("`require` turns away who comes without; `allow` leaves it to the frontend."),
        cert: path.optional().describe("Certificate chain, PEM."),
        key: path.optional().describe("Its private key, PEM."),
        client_ca: path
          .optional()
          .describe("Client certificates signed by these CAs are asked for, PEM."),
      })
      .refine(
        ({ mode, cert, key }) => mode === "off" || (cert !== undefined && key !== undefined),
        "needs cert and key, unless mode is off",
      )
      .optional()
      .describe("Encryption between frontends and Twokey."),
  })
  .describe("Where people and applications connect.");

const adminSchema = z
  .strictObject({
    host: z.string().default("127.0.0.1").describe("Address to listen on."),
    port: port.default(9188).describe("`0` takes any free one."),
  })
  .describe("HTTP for metrics, health and the API.");

const upstreamSchema = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .optional()
      .describe("Name or address of the server, or the directory of its Unix socket."),
    hosts: nonEmpty(
      z
        .string()
        .regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+)(:\d{1,5})?$/, 'must be "HOST" or "HOST:PORT"'),
    )
      .optional()
      .describe("Several, tried in this order, each `HOST` or `HOST:PORT`; instead of `host`."),
    port: port.min(1).default(5432).describe("Port of every host that names none."),
    target_session_attrs: z
      .enum(["any", "read-write", "read-only", "primary", "standby", "prefer-standby"])
      .default("any")
      .describe("Which of the hosts will do, as in libpq."),
    user: z.string().min(1).describe("Role that Twokey logs in as. People never see it."),
    password: secret
      .optional()
      .describe("Its password: where to find it, never the password itself."),
    tls: z
      .strictObject({
        mode: z
          .enum(["disable", "prefer", "require", "verify-ca", "verify-full"])
          .default("verify-full")
          .describe("As libpq's `sslmode`."),
        ca: path.optional().describe("CAs to trust, PEM; without it, those that Node.js trusts."),
        cert: path.optional().describe("Certificate that Twokey shows, PEM."),
        key: path.optional().describe("Its private key, PEM."),
        server_name: z
          .string()
          .optional()
          .describe("Name to expect in the server's certificate, where it is not `host`."),
      })
      .refine(
        ({ cert, key }) => (cert === undefined) === (key === undefined),
        "cert and key go together",
      )
      .prefault({})
      .describe("Encryption between Twokey and the server."),
    connect_timeout: duration({ min: "1ms", max: "1h" })
      .prefault("10s")
      .describe("For reaching a host and logging in, each."),
  })
  .refine(({ host, hosts }) => (host === undefined) !== (hosts === undefined), {
    error: "needs either host or hosts",
  });

const databaseSchema = z.strictObject({
  upstream: z.string().describe("One of `upstreams`."),
  environment: z.string().describe("One of `environments`; its rules apply."),
  database: z
    .string()
    .min(1)
    .max(63)
    .optional()
    .describe("Name on the server; by default the same."),
  dialect: z
    .enum(["postgresql", "redshift"])
    .default("postgresql")
    .describe("What the server speaks."),
});

const environmentSchema = z.strictObject({
  label: z
    .string()
    .min(1)
    .max(63)
    .optional()
    .describe("What people are shown; by default the name."),
  unparsed: z
    .enum(["block", "require_approval", "ask_rules"])
    .default("block")
    .describe(
      "What happens to text that PostgreSQL's grammar does not read. `require_approval` uses `approvals.defaults`; " +
        "for the rules it has the one effect `unparsed`, counts as destructive and names no object.",
    ),
});

const principalSchema = z
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

const approvalsSchema = z
  .strictObject({
    allowed_signers: path.describe(
      "Who may sign with which key, in OpenSSH's format (`ssh-keygen`, ALLOWED SIGNERS); a principal there is a person here.",
    ),
    revoked_keys: path
      .optional()
      .describe("Keys that no longer count: a KRL or a list of public keys."),
    defaults: approvalSchema
      .prefault({})
      .describe(
        "Terms of an approval where a rule says nothing else; the same keys as a rule's `approval`.",
      ),
  })
  .describe("How approvals are signed and checked.");

const storeSchema = z
  .strictObject({
    sqlite: path.optional().describe("File of the embedded store."),
    postgres: secret
      .optional()
      .describe("Where to find the URL of a PostgreSQL database, for several replicas."),
  })
  .refine(oneOf("sqlite", "postgres"), "needs either sqlite or postgres")
  .prefault({ sqlite: "data/twokey.db" })
  .describe("Where requests and approvals are kept.");

const auditSchema = z
  .strictObject({
    directory: path.default("data/audit").describe("Where the log's files are written."),
    durability: z
      .enum(["normal", "strict"])
      .default("normal")
      .describe(
        "`normal` syncs before what is approved or destructive; `strict` before every statement that can change anything.",
      ),
    parameters: z
      .enum(["none", "hash", "full"])
      .default("hash")
      .describe("What is recorded of bound values."),
    rotate: z
      .strictObject({
        size: size({ min: "1MiB" })
          .prefault("1GiB")
          .describe("A file that reached this is closed."),
        after: duration({ min: "1m" }).prefault("24h").describe("So is one that is this old."),
      })
      .prefault({})
      .describe("When a new file is begun."),
    checkpoint: z
      .strictObject({
        key: path
          .optional()
          .describe(
            "Private key that signs checkpoints, Ed25519 as OpenSSH writes it; by default one is made in `directory`.",
          ),
        records: z.int().min(1).max(1_000_000).default(1000).describe("After so many records."),
        after: duration({ min: "1s" })
          .prefault("1m")
          .describe("After this time, if there are any."),
      })
      .prefault({})
      .describe("When the chain's head is signed."),
  })
  .prefault({})
  .describe("The audit log.");

const limitsSchema = z
  .strictObject({
    startup_timeout: duration({ min: "1s", max: "10m" })
      .prefault("30s")
      .describe("From accepting a connection to the end of its authentication."),
    max_message: size({ min: "64KiB" })
      .refine(
        (bytes) => bytes <= LARGEST_MESSAGE_BYTES,
        "must be below 1GiB, PostgreSQL's own limit",
      )
      .prefault("256MiB")
      .describe("Of one frontend message; a larger one ends the session."),
    max_statement: size({ min: "1KiB", max: "64MiB" })
      .prefault("8MiB")
      .describe("Of one SQL text; a larger one is refused unread."),
    connections: z
      .strictObject({
        total: z.int().min(1).max(100_000).default(1000).describe("At the same time."),
        per_address: z.int().min(1).max(100_000).default(500).describe("From one address."),
        per_person: z.int().min(1).max(100_000).default(200).describe("Of one person or workload."),
      })
      .prefault({})
      .describe("How many sessions."),
    idle_in_transaction: z
      .union([z.literal("off"), duration({ min: "1s" })], 'must be "off" or a duration such as 10m')
      .prefault("off")
      .transform((value) => (value === "off" ? undefined : value))
      .describe(
        "A session that idles in a transaction for longer is ended; `off` leaves it to the server.",
      ),
  })
  .prefault({})
  .describe("What one frontend can take.");

/** What a configuration file may say. */
export const configSchema = z
  .strictObject({
    listen: listenSchema.prefault({}),
    admin: adminSchema.prefault({}),
    upstreams: z.record(name, upstreamSchema).describe("The PostgreSQL servers, by name."),
    databases: z
      .record(name, databaseSchema)
      .describe("The databases, by the name that people connect to."),
    environments: z.record(name, environmentSchema).describe("What rules are written for."),
    roles: nonEmpty(name).describe("Every role there is: the groups that rules speak of."),
    people: z
      .record(name, principalSchema)
      .default({})
      .describe("By the name that they log in with."),
    workloads: z
      .record(name, principalSchema)
      .default({})
      .describe("Applications and jobs; the same keys as `people`."),
    approvals: approvalsSchema.optional(),
    rules: z
      .array(ruleSchema)
      .describe(
        "The policy. The first rule that matches decides; where none does, the statement is refused.",
      ),
    store: storeSchema,
    audit: auditSchema,
    limits: limitsSchema,
    log: z
      .strictObject({
        level: z.enum(LOG_LEVELS).default("info").describe("The least that is worth a line."),
      })
      .prefault({})
      .describe("The running log, on standard output."),
  })
  .describe("Configuration of Twokey");

export type ConfigText = z.output<typeof configSchema>;

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
