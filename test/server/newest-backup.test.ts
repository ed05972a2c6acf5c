import { describe, expect, it } from "vitest";
import type { Backups } from "../../src/backup/backups.ts";
import type { Config } from "../../src/config/config.ts";
import { newestBackup } from "../../src/server/newest-backup.ts";

const now = (): Date => new Date("2026-03-14T12:00:00Z");
const config = {
  databases: new Map([["shop", { store: "offsite" }]]),
} as unknown as Config["backups"];
const none = { databases: new Map() } as unknown as Config["backups"];

function withNewest(manifest: { backup: string; snapshot_at: string } | undefined): Backups {
  const newest = manifest === undefined ? undefined : { manifest };
  return { newestVerified: () => Promise.resolve(newest) } as unknown as Backups;
}

describe("newestBackup", () => {
  it.each([
    ["nothing is configured", none, undefined, { state: "unknown" }],
    ["none was restored", config, undefined, { state: "none" }],
    [
      "one was restored",
      config,
      { backup: "b-1", snapshot_at: "2026-03-14T11:00:00Z" },
      { state: "verified", age_seconds: 3600, place: "b-1 in the store offsite" },
    ],
    [
      "its clock is ahead of ours",
      config,
      { backup: "b-1", snapshot_at: "2026-03-14T12:00:05Z" },
      { state: "verified", age_seconds: 0 },
    ],
  ] as const)("tells the approver where %s", async (_, sites, manifest, told) => {
    const options = { backups: withNewest(manifest), config: sites, now };
    expect(await newestBackup("shop", options)).toMatchObject(told);
  });

  it("does not speak of another database's backup", async () => {
    const options = {
      backups: withNewest({ backup: "b-1", snapshot_at: "2026-03-14T11:00:00Z" }),
      config,
      now,
    };
    expect(await newestBackup("orders", options)).toEqual({
      state: "none",
      because: "orders is not backed up",
    });
  });
});
