import { z } from "zod";
import { shipSchema } from "./audit-ship-schema.ts";
import { name, path } from "./schema-parts.ts";
import { duration, size } from "./units.ts";

export const auditSchema = z
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
      .default("none")
      .describe(
        "What is recorded of bound values: nothing, their SHA-256 (which tells short ones to whoever tries), or all.",
      ),
    literals: z
      .enum(["keep", "mask"])
      .default("keep")
      .describe(
        "Whether statements are recorded as they were sent, or with `?` for each literal and comment. Passwords of roles are never recorded.",
      ),
    rotate: z
      .strictObject({
        size: size({ min: "1MiB", max: "64GiB" })
          .prefault("256MiB")
          .describe("A file that reached this is closed."),
        after: duration({ min: "1m" }).prefault("24h").describe("So is one that is this old."),
      })
      .prefault({})
      .describe("When a new file is begun."),
    compress: z
      .boolean()
      .default(true)
      .describe("Whether closed files are compressed (zstd), to about an eighth."),
    keep: z
      .strictObject({
        for: duration({ min: "1h" })
          .optional()
          .describe("Closed files older than this are removed; without, none is."),
        size: size({ min: "1MiB", max: "64TiB" })
          .optional()
          .describe("The oldest closed files are removed until all of them have no more, on disk."),
      })
      .prefault({})
      .describe(
        "How long, and how much of, the log is kept. A record says what was removed, and what is left can still be verified.",
      ),
    ship: z
      .record(name, shipSchema)
      .default({})
      .describe(
        "Who else gets the log, at least once and in order; what somebody has yet to get is not removed.",
      ),
    checkpoint: z
      .strictObject({
        key: path
          .default("data/audit-key.pem")
          .describe("Private Ed25519 key that signs, PEM; made when it is not there."),
        records: z.int().min(1).max(1_000_000).default(4096).describe("After so many records."),
        after: duration({ min: "1s" })
          .prefault("10s")
          .describe("After this time, if there are any."),
        anchor: path
          .optional()
          .describe(
            "Second file, best on another machine's disk, that gets every checkpoint: shows a tail cut off.",
          ),
      })
      .prefault({})
      .describe("When the chain's head is signed."),
    self_verify: z
      .strictObject({
        every: duration({ min: "1s" })
          .prefault("10m")
          .describe("What was signed since the last time."),
        whole: duration({ min: "1s" })
          .prefault("24h")
          .describe(
            "All of it, as at the start: an edit of what was verified before is found then.",
          ),
      })
      .prefault({})
      .describe("How often the running proxy verifies its own log; what it finds is an alert."),
  })
  .prefault({})
  .describe("The audit log.");
