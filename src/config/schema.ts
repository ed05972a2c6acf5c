import { z } from "zod";
import { LARGEST_MESSAGE_BYTES } from "../wire/message-types.ts";
import type { LogLevel } from "../telemetry/log.ts";
import { alertsSchema } from "./alerts-schema.ts";
import { auditSchema } from "./audit-schema.ts";
import { backupsSchema } from "./backups-schema.ts";
import { habitsSchema } from "./habits-schema.ts";
import { principalSchema } from "./principal-schema.ts";
import { approvalSchema, ruleSchema } from "./rule-schema.ts";
import {
  effect,
  name,
  nonEmpty,
  oneOf,
  path,
  port,
  qualifiedName,
  secret,
} from "./schema-parts.ts";
import { tokenIssuerSchema } from "./tokens-schema.ts";
import { duration, size } from "./units.ts";
import { upstreamSchema } from "./upstream-schema.ts";

const LOG_LEVELS = [
  "trace",
  "debug",
  "info",
  "warn",
  "error",
  "fatal",
  "silent",
] as const satisfies readonly LogLevel[];

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
        client_crl: path
          .optional()
          .describe(
            "Client certificates that no longer count: a revocation list of each of these CAs, PEM. One that is missing or " +
              "has run out lets none of its CA's certificates in.",
          ),
      })
      .refine(
        ({ mode, cert, key }) => mode === "off" || (cert !== undefined && key !== undefined),
        "needs cert and key, unless mode is off",
      )
      .refine(
        ({ client_ca, client_crl }) => client_crl === undefined || client_ca !== undefined,
        "has a client_crl without the client_ca that it is of",
      )
      .optional()
      .describe("Encryption between frontends and Twokey."),
  })
  .describe("Where people and applications connect.");

const adminSchema = z
  .strictObject({
    host: z.string().default("127.0.0.1").describe("Address to listen on."),
    port: port.default(9188).describe("`0` takes any free one."),
    public_url: z
      .string()
      .regex(/^https?:\/\/[^/\s]+$/, "must be a URL without a path, such as https://twokey.example")
      .optional()
      .describe("Where clients reach it, if not at `http://HOST:PORT`."),
    tls: z
      .strictObject({
        cert: path.describe("Certificate chain, PEM."),
        key: path.describe("Its private key, PEM."),
      })
      .optional()
      .describe("HTTPS instead of HTTP. Read at the start."),
    metrics: z
      .strictObject({
        token: secret
          .optional()
          .describe("What who scrapes `/metrics` has to send as `Bearer`: where to find it."),
      })
      .prefault({})
      .describe("Who may scrape; without a token, whoever reaches the port."),
    operators: z
      .array(z.string())
      .default([])
      .describe("Roles whose people see every session and request, and may end sessions."),
  })
  .describe("HTTP for metrics, health and the API.");

const loginSchema = z.strictObject({
  roles: nonEmpty(z.string()).describe("Of `roles`: whose people and workloads log in so."),
  user: z.string().min(1).max(63).describe("Role on the server."),
  password: secret.describe("Its password: where to find it, never the password itself."),
  may: z
    .enum(["read_only", "read_write", "ddl"])
    .describe(
      "What `twokey provision` lets it do: read; also change rows; also create objects, which are then its own.",
    ),
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
  logins: z
    .array(loginSchema)
    .default([])
    .describe(
      "Who logs in on the server as whom: the first that names one of the person's roles counts, and who is in none is " +
        "turned away. Without any, everybody logs in as the upstream's `user`.",
    ),
  second_lock: z
    .strictObject({
      user: z.string().min(1).max(63).describe("Role that clears, and does nothing else."),
      password: secret.describe("Its password: where to find it."),
    })
    .optional()
    .describe(
      "`twokey provision` makes an event trigger, by which the server refuses to drop anything that Twokey has not cleared: a " +
        "function's hidden `DROP TABLE`, or one around Twokey.",
    ),
});

const environmentSchema = z.strictObject({
  mode: z
    .enum(["enforce", "observe"])
    .default("enforce")
    .describe(
      "`observe` records and alerts what the rules decide, and lets it pass: for finding out what they would stop. What " +
        "Twokey can't read, or what would keep it from reading what follows, is refused all the same.",
    ),
  greeting: z
    .boolean()
    .default(false)
    .describe("Whether a NOTICE at log-in says where one is, and as whom."),
  read_only: z
    .array(z.string())
    .default([])
    .describe(
      "Roles whose sessions only read: the server's transactions are read-only, and nothing that could change that passes. " +
        "Who has another role besides is in it all the same.",
    ),
  unparsed: z
    .enum(["block", "require_approval", "ask_rules"])
    .default("block")
    .describe(
      "What happens to text that PostgreSQL's grammar does not read. `require_approval` uses `approvals.defaults`; " +
        "for the rules it has the one effect `unparsed`, counts as destructive and names no object.",
    ),
  unknown_functions: z
    .enum(["opaque", "trust_volatility"])
    .default("opaque")
    .describe(
      "What a call of a function is that is neither PostgreSQL's own nor in `catalogue`. `trust_volatility`: one that the server's " +
        "catalogue calls stable or immutable only reads; see effects.md for what that rests on. Not where the dialect is `redshift`.",
    ),
});

const approvalsSchema = z
  .strictObject({
    allowed_signers: path
      .optional()
      .describe(
        "Who signs with which key, in OpenSSH's format (ssh-keygen(1), ALLOWED SIGNERS); a principal there is a person here.",
      ),
    revoked_keys: path
      .optional()
      .describe("Keys that no longer count: a KRL or a list of public keys."),
    requests_expire: duration({ min: "1m", max: "90d" })
      .prefault("7d")
      .describe("How long a request waits for its signatures."),
    remind_of_reviews: duration({ min: "1m", max: "30d" })
      .prefault("4h")
      .describe(
        "How often people are reminded of what was run by breaking the glass, until a second person has signed the review.",
      ),
    max_open_requests: z
      .int()
      .min(1)
      .max(10_000)
      .default(50)
      .describe("That one person or workload may have waiting."),
    defaults: approvalSchema
      .prefault({})
      .describe(
        "Terms of an approval where a rule says nothing else; the same keys as a rule's `approval`.",
      ),
  })
  .prefault({})
  .describe("How approvals are signed and checked.");

const accessSchema = z.strictObject({
  name: name.describe("Stands in the request, and in records."),
  role: z.string().describe("One of `roles`."),
  for_roles: nonEmpty(z.string()).describe(
    "Whoever has one of these may ask for it; it takes their place meanwhile.",
  ),
  environments: nonEmpty(z.string()).optional().describe("Where; by default everywhere."),
  max_for: duration({ min: "1m", max: "7d" }).prefault("4h").describe("For how long at most."),
  approval: approvalSchema
    .prefault({})
    .describe("Terms of the approval, where `approvals.defaults` won't do."),
});

const catalogueSchema = z
  .strictObject({
    functions: z
      .record(
        qualifiedName,
        z.union(
          [z.literal("harmless"), nonEmpty(effect)],
          'must be "harmless" or a list of effects',
        ),
      )
      .default({})
      .describe("`harmless` where it only computes, or the effects of calling it."),
    operators: z.array(qualifiedName).default([]).describe("That only compute."),
    types: z.array(qualifiedName).default([]).describe("Whose casts only compute."),
  })
  .prefault({})
  .describe(
    "What is known of the databases beyond PostgreSQL itself. Names as statements write them, `name` or `schema.name`; " +
      "whatever is neither listed here nor PostgreSQL's own is `opaque`.",
  );

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
    logins: z
      .strictObject({
        per_person: z
          .int()
          .min(1)
          .max(1000)
          .default(10)
          .describe("Wrong passwords for one name, from addresses that it hasn't logged in from."),
        per_address: z
          .int()
          .min(1)
          .max(100_000)
          .default(100)
          .describe("Wrong passwords from one IPv4 address or IPv6 /64."),
        window: duration({ min: "1s", max: "1d" })
          .prefault("10m")
          .describe("In which they are counted, from the first on."),
        lock_for: duration({ min: "1s", max: "1d" })
          .prefault("10m")
          .describe("How long passwords are then refused, right ones too."),
        short_lived: duration({ min: "1m", max: "7d" })
          .prefault("12h")
          .describe("How long a password may be good for that `twokey login` gives."),
        delay: duration({ max: "5s" })
          .prefault("250ms")
          .describe("Before a frontend is told that its log-in failed."),
      })
      .prefault({})
      .describe(
        "How often passwords may be wrong. At an address that somebody logged in from since the start, only what is tried " +
          "there under their name locks them out: nobody can from elsewhere.",
      ),
    named_objects: z
      .int()
      .min(10)
      .max(1_000_000)
      .default(10_000)
      .describe("Prepared statements, portals and unanswered messages that one session may have."),
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
    environments: z
      .record(name, environmentSchema)
      .describe("What rules are written for; people see the name in every refusal."),
    roles: nonEmpty(name).describe("Every role there is: the groups that rules speak of."),
    people: z
      .record(name, principalSchema)
      .default({})
      .describe("By the name that they log in with."),
    workloads: z
      .record(name, principalSchema)
      .default({})
      .describe("Applications and jobs; the same keys as `people`."),
    people_file: path
      .optional()
      .describe(
        "File with further `people` and `workloads`, which `twokey user` edits. A change counts from the next log-in on; " +
          "paths in it are relative to itself.",
      ),
    tokens: z
      .record(name, tokenIssuerSchema)
      .default({})
      .describe("Who issues tokens that prove who somebody is: an OpenID provider, a CI system."),
    approvals: approvalsSchema,
    access: z
      .array(accessSchema)
      .default([])
      .describe("Roles that one may have for a while: `twokey request access`."),
    catalogue: catalogueSchema,
    rules: z
      .array(ruleSchema)
      .describe(
        "The policy. The first rule that matches decides; where none does, the statement is refused.",
      ),
    store: storeSchema,
    audit: auditSchema,
    alerts: alertsSchema,
    backups: backupsSchema,
    habits: habitsSchema,
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
