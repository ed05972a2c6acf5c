import { Cron } from "croner";
import { z } from "zod";
import { messageOf, name, nonEmpty, oneOf, path, port, secret } from "./schema-parts.ts";
import { duration, size } from "./units.ts";

const folderSchema = z.strictObject({
  kind: z.literal("folder").describe("A folder, such as a mounted file server."),
  path: path.describe("It must exist: an unmounted one shall not fill this machine's own disk."),
});

const s3Schema = z.strictObject({
  kind: z.literal("s3").describe("An S3-compatible object store."),
  endpoint: z
    .url({
      protocol: /^https?$/,
      error: "must be a URL such as https://s3.eu-west-1.amazonaws.com",
    })
    .describe("Its URL, without the bucket."),
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "must be the name of a bucket")
    .describe("It must exist."),
  prefix: z
    .string()
    .regex(/^([A-Za-z0-9_-][A-Za-z0-9._-]*\/)*$/, "must be folders that end in a slash: team/shop/")
    .default("")
    .describe("In front of all names."),
  region: z.string().min(1).default("auto").describe("As the store calls it."),
  access_key: secret.describe("Access key id: where to find it."),
  secret_key: secret.describe("Secret access key: where to find it."),
  encryption: z
    .enum(["none", "AES256", "aws:kms"])
    .default("none")
    .describe("What the store is asked to encrypt with besides (SSE)."),
  lock: z
    .strictObject({
      mode: z.enum(["governance", "compliance"]).describe("Who may lift it: some, or nobody."),
      for: duration({ min: "1h", max: "3650d" }).describe("How long nothing can be deleted."),
    })
    .optional()
    .describe("Object lock, where the bucket has it: not even we can delete before."),
  part: size({ min: "5MiB", max: "512MiB" })
    .prefault("16MiB")
    .describe("Size of a part; 10,000 of them are the largest backup, and one is held in memory."),
});

const sftpSchema = z.strictObject({
  kind: z.literal("sftp").describe("A folder on another machine, over SSH."),
  host: z.string().min(1).describe("Name or address."),
  port: port.min(1).default(22),
  user: z.string().min(1).describe("Who logs in."),
  key: secret.describe("Private key, OpenSSH format: where to find it."),
  host_key: z
    .string()
    .regex(
      /^SHA256:[A-Za-z0-9+/]{43}$/,
      "must be a fingerprint as ssh-keygen -l prints it: SHA256:…",
    )
    .describe("Fingerprint of the server's key; another server is turned away."),
  directory: z.string().min(1).describe("Where backups go; it must exist."),
});

const storeSchema = z.discriminatedUnion("kind", [folderSchema, s3Schema, sftpSchema]);

const cron = z
  .string()
  .superRefine((text, context) => {
    try {
      new Cron(text, { paused: true, mode: "5-part" });
    } catch (error) {
      context.addIssue({ code: "custom", message: `is no cron schedule: ${messageOf(error)}` });
    }
  })
  .meta({ title: "cron" });

const count = z.int().min(0).max(10_000);

const keepSchema = z
  .strictObject({
    last: count.min(1).default(7).describe("The newest."),
    daily: count.default(0).describe("The newest of each of so many days."),
    weekly: count.default(0).describe("The newest of each of so many weeks."),
    monthly: count.default(0).describe("The newest of each of so many months."),
  })
  .prefault({})
  .describe("Which backups stay; the rest is deleted. The newest verified one always stays.");

const backupSchema = z.strictObject({
  store: z.string().describe("One of `backups.stores`."),
  login: z
    .strictObject({
      user: z.string().min(1).max(63).describe("Role on the server; it must read everything."),
      password: secret.describe("Its password: where to find it."),
    })
    .optional()
    .describe("Who the dump logs in as; by default the upstream's `user`."),
  schedule: cron
    .optional()
    .describe("When, as cron has it: `0 3 * * *`. Without it, only when somebody asks."),
  time_zone: z.string().default("UTC").describe("Of the schedule, such as `Europe/Madrid`."),
  jitter: duration({ max: "12h" })
    .prefault("1m")
    .describe("A scheduled run begins up to so much later."),
  late_after: duration({ min: "1m", max: "400d" })
    .optional()
    .describe("Alert when the newest good backup is older; by default two periods of `schedule`."),
  timeout: duration({ min: "10s", max: "7d" }).prefault("12h").describe("For one run."),
  bandwidth: size({ min: "64KiB" }).optional().describe("Bytes a second into the store, at most."),
  compression: z
    .enum(["auto", "zstd", "gzip", "none"])
    .default("auto")
    .describe("`auto` is zstd where pg_dump or a `zstd` program has it, else gzip."),
  keep: keepSchema,
  contents: z
    .enum(["all", "sample", "counts"])
    .default("sample")
    .describe(
      "What a restore test compares besides schema and row counts: checksums of all rows, of the first 10,000 of each table, or none.",
    ),
  verify: cron
    .optional()
    .describe("When the newest backup is restored into a scratch server and compared, as cron."),
  verify_each: z.boolean().default(false).describe("Test each backup at once after it is taken."),
});

export const backupsSchema = z
  .strictObject({
    stores: z.record(name, storeSchema).default({}).describe("Where backups go, by name."),
    encryption: z
      .union(
        [
          z.literal("off"),
          z.strictObject({
            recipients: nonEmpty(
              z.string().regex(/^age1[0-9a-z]{20,4000}$/, "must be a recipient of age: age1…"),
            ).describe("Public keys in age's format; `twokey backup key` makes a pair."),
            identity: secret
              .optional()
              .describe(
                "The private key, needed to test a restore. Where it is not here, tests run where it is.",
              ),
          }),
        ],
        'must be "off" or {recipients: [age1…]}',
      )
      .optional()
      .describe("With which keys. Backups in the clear only where `off` says so."),
    trusted_keys: z
      .array(path)
      .default([])
      .describe(
        "Public keys (PEM) of other Twokeys whose backups count here, such as other replicas'; each signs with its `audit.checkpoint.key`.",
      ),
    programs: path
      .optional()
      .describe("Folder of pg_dump and pg_restore; by default where PATH finds them."),
    scratch: z
      .strictObject({
        programs: path
          .optional()
          .describe("Folder of a PostgreSQL's initdb and postgres, to start one for each test."),
        url: secret.optional().describe("Where to find the URL of a server to test on."),
      })
      .refine(oneOf("programs", "url"), "needs either programs or url")
      .optional()
      .describe("Where restores are tested; by default on the PostgreSQL that comes with Twokey."),
    databases: z
      .record(name, backupSchema)
      .default({})
      .describe("By the name that people connect to."),
  })
  .prefault({})
  .describe(
    "What is backed up, when, where to. [Back up and restore](../how-to/back-up-and-restore.md) shows how.",
  );

export type BackupsText = z.output<typeof backupsSchema>;
