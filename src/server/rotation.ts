import { statSync } from "node:fs";
import type { Config } from "../config/config.ts";
import { rotatablesOf, rotate } from "../provision/rotate.ts";
import type { AuditFile } from "../store/audit-file.ts";
import type { Log } from "../telemetry/log.ts";

interface RotationParts {
  readonly config: Config;
  readonly audit: AuditFile;
  readonly log: Log;
  readonly now: () => Date;
}

/** Gives new passwords to the roles whose password's file is older than the configuration lets it be. */
export async function rotateOld({ config, audit, log, now }: RotationParts): Promise<void> {
  for (const { name, rotation } of config.upstreams.values()) {
    if (rotation?.everyMs === undefined) continue;
    for (const rotatable of rotatablesOf(config, name)) {
      const ageMs = now().getTime() - statSync(rotatable.file).mtimeMs;
      if (ageMs < rotation.everyMs) continue;
      const { user } = rotatable.credential;
      const target = `${name} ${user}`;
      try {
        await rotate(rotatable);
        audit.append({
          event: "admin.action",
          person: "twokey",
          operation: "rotate",
          target,
          outcome: "done",
        });
        log.info({ upstream: name, role: user }, "its password was changed, as is its turn");
      } catch (error) {
        audit.append({
          event: "admin.action",
          person: "twokey",
          operation: "rotate",
          target,
          outcome: "failed",
        });
        log.error({ err: error, upstream: name, role: user }, "its password could not be changed");
      }
    }
  }
}
