import { createPublicKey } from "node:crypto";
import type { Finding } from "../audit/finding.ts";
import type { Config } from "../config/config.ts";
import type { SessionServices } from "../session/services.ts";
import { openSigningKey } from "../store/audit-file-key.ts";
import { AuditSelfVerifier } from "../store/audit-self-verifier.ts";
import { every } from "./every.ts";

type Parts = Pick<SessionServices, "audit" | "log" | "notice">;

/** Verifies the log from now on, at once and until stopped; what is found is told, logged and put on record. */
export function verifyItself({ audit: config }: Config, parts: Parts): () => Promise<void> {
  const { directory, checkpoint, selfVerify } = config;
  const verifier = new AuditSelfVerifier({
    directory,
    publicKey: createPublicKey(openSigningKey(checkpoint.keyFile)),
    anchorFile: checkpoint.anchorFile,
    wholeEveryMs: selfVerify.wholeEveryMs,
    audit: parts.audit,
    onFinding: (finding) => {
      tell(directory, finding, parts);
    },
    now: Date.now,
  });
  const stop = every(selfVerify.everyMs, () => verifier.run(), parts.log, { atOnce: true });
  return async () => {
    await verifier.close();
    await stop();
  };
}

function tell(directory: string, finding: Finding, { audit, log, notice }: Parts): void {
  const { kind, seq, file, line, message } = finding;
  const where = { finding: kind, record: seq, file, line };
  log.error({ ...where, reason: message }, "the audit log is not as it was written");
  notice({
    kind: "audit.tampered",
    directory,
    finding: `record ${seq}, ${kind}: ${message} (${file}:${line})`,
  });
  try {
    audit.append({ event: "chain.tampered", ...where, reason: message });
  } catch (error) {
    log.error({ err: error, ...where }, "that the audit log was tampered with is not on record");
  }
}
