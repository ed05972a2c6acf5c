import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { sha256 } from "../base/digest.ts";
import type { Config } from "../config/config.ts";
import { readSettings, settingChanges, type Settings } from "../config/settings.ts";
import { writeDurably } from "../store/durable-files.ts";
import type { AuditFile } from "../store/audit-file.ts";

const MAX_CHANGES = 200;

/** Records which configuration is in force, and in what it differs from the one that was in force before. */
export function recordConfig({ file, audit: { checkpoint } }: Config, audit: AuditFile): void {
  const kept = path.join(path.dirname(checkpoint.keyFile), "config-applied.json");
  const settings = readSettings(file);
  const changes = settingChanges(readApplied(kept) ?? settings, settings);
  const left = changes.length - MAX_CHANGES;
  audit.append({
    event: "config.loaded",
    file,
    sha256: sha256(readFileSync(file)),
    outcome: "applied",
    changes: left > 0 ? [...changes.slice(0, MAX_CHANGES), `and ${left} more settings`] : changes,
  });
  audit.flush();
  writeDurably(kept, Buffer.from(JSON.stringify(Object.fromEntries(settings))));
}

/** A file that can't be read is as one that isn't there: the log has the configuration's SHA-256 all the same. */
function readApplied(file: string): Settings | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return new Map(
      Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, string>),
    );
  } catch {
    return undefined; // said above
  }
}
