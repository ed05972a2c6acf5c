import { z } from "zod";
import { nonEmpty, oneOf, path, port, secret } from "./schema-parts.ts";
import { duration } from "./units.ts";

export const upstreamSchema = z
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
      .describe(
        "Several, tried in this order, each `HOST` or `HOST:PORT`; instead of `host`. One that failed of late is tried last.",
      ),
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
        direct: z
          .boolean()
          .default(false)
          .describe("Begin with TLS at once, without asking (PostgreSQL 17)."),
      })
      .refine(
        ({ cert, key }) => (cert === undefined) === (key === undefined),
        "cert and key go together",
      )
      .prefault({})
      .describe("Encryption between Twokey and the server."),
    verifiers: z
      .strictObject({
        user: z.string().min(1).describe("Role that may run the query."),
        password: secret.describe("Its password: where to find it."),
        database: z.string().min(1).default("postgres").describe("Where it is run."),
        query: z
          .string()
          .min(1)
          .default(
            "SELECT rolname AS name, rolpassword AS verifier FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL " +
              "AND (rolvaliduntil IS NULL OR rolvaliduntil > now())",
          )
          .describe(
            "Gives `name` and `verifier` of everybody. Only superusers read pg_authid; a function of theirs spares Twokey from being one.",
          ),
        refresh: duration({ min: "1s", max: "1h" }).prefault("1m").describe("How often."),
      })
      .optional()
      .describe(
        "Where the passwords of people with `asks_for: upstream` are checked: by what this server keeps of them.",
      ),
    rotate: z
      .strictObject({
        every: duration({ min: "1h", max: "365d" })
          .optional()
          .describe(
            "How old a password of Twokey's may be before it is changed, by its file's time. By default `twokey rotate` is run by hand.",
          ),
        hand_to: nonEmpty(z.string())
          .optional()
          .describe(
            "Program and arguments that take each new password on standard input, to keep it elsewhere, too; TWOKEY_UPSTREAM and " +
              "TWOKEY_ROLE say whose it is.",
          ),
      })
      .optional()
      .describe(
        "New passwords for the roles that Twokey logs in as there, which must be kept in files.",
      ),
    application_name: z
      .enum(["person", "frontend"])
      .default("person")
      .describe(
        "What the server shows and logs as `application_name`: `alice twokey:SESSION psql`, by which its log can be joined " +
          "with Twokey's, or what the frontend says.",
      ),
    connect_timeout: duration({ min: "1ms", max: "1h" })
      .prefault("10s")
      .describe("For reaching a host and logging in, all hosts together."),
  })
  .refine(oneOf("host", "hosts"), "needs either host or hosts");
