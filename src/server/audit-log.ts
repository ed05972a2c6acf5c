import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Config } from "../config/config.ts";
import type { SessionServices } from "../session/services.ts";
import { openSigningKey } from "../store/audit-file-key.ts";
import { AuditFile } from "../store/audit-file.ts";
import { AuditKeeper } from "../store/audit-keeper.ts";
import { every } from "./every.ts";

const KEEP_EVERY_MS = 60_000;

/** @throws AuditUnavailable when there is no log to write to */
export function openAudit(
  { audit }: Config,
  { metrics, log, notice }: Pick<SessionServices, "metrics" | "log" | "notice">,
): AuditFile {
  const { directory, durability, checkpoint, rotate } = audit;
  mkdirSync(path.dirname(checkpoint.keyFile), { recursive: true, mode: 0o700 });
  const file = AuditFile.open({
    directory,
    durability,
    signingKey: openSigningKey(checkpoint.keyFile),
    anchorFile: checkpoint.anchorFile,
    limits: {
      checkpointEveryRecords: checkpoint.records,
      checkpointEverySeconds: checkpoint.afterMs / 1000,
      maxFileBytes: rotate.sizeBytes,
      maxFileAgeSeconds: rotate.afterMs / 1000,
    },
    onAvailability: (failure) => {
      if (failure === undefined) {
        log.info("the audit log can be written again");
        notice({ kind: "audit.available", directory });
      } else {
        log.fatal({ err: failure }, "the audit log can't be written: statements are refused");
        notice({ kind: "audit.unavailable", directory, cause: failure.message });
      }
    },
    onTrouble: (error) => {
      log.error({ err: error }, "trouble with the audit log");
    },
  });
  metrics.readAudit(() => file.stats);
  return file;
}

/**
 * Indexes, compresses and removes what is closed of the log, from now on and until stopped.
 *
 * @param shippedSeq - the last record that everybody has who is to get the log
 */
export function keepAudit(
  { audit: { directory, compress, keep } }: Config,
  {
    audit,
    log,
    shippedSeq,
  }: Pick<SessionServices, "audit" | "log"> & { readonly shippedSeq: () => number },
): () => Promise<void> {
  const keeper = new AuditKeeper({ directory, compress, keep, shippedSeq, audit, now: Date.now });
  const stop = every(KEEP_EVERY_MS, () => keeper.run(), log);
  return async () => {
    await keeper.close();
    await stop();
  };
}
