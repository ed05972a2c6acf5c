import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import path from "node:path";
import { openBackupStage } from "../support/backup-stage.ts";

// Throughput beside plain `pg_dump | zstd` into the same folder, and the most memory that this process had.
const rows = Number(process.argv[2] ?? 1_000_000);
const stage = await openBackupStage();
try {
  await stage.client("postgres", (client) => client.query("CREATE DATABASE big"));
  await stage.client("big", (client) =>
    client.query(
      `CREATE TABLE t AS SELECT n AS id, md5(n::text) || md5((n * 7)::text) AS a, repeat(md5((n % 1000)::text), 4) AS b, now() AS at FROM generate_series(1, ${rows}) n`,
    ),
  );
  const [size] = (
    await stage.client("big", (client) => client.query("SELECT pg_database_size('big') AS size"))
  ).rows as { size: string }[];
  const plainFile = path.join(stage.storeDirectory, "plain.zst");
  let startedAt = performance.now();
  execFileSync(
    "sh",
    [
      "-c",
      `/usr/lib/postgresql/15/bin/pg_dump -Fc -Z0 | zstd -3 -q -f -o ${plainFile} && sync ${plainFile}`,
    ],
    { env: stage.env("big") },
  );
  const plain = performance.now() - startedAt;
  const figures: Record<string, number> = {};
  let mostRss = 0;
  const before = process.memoryUsage.rss();
  for (const contents of ["counts", "sample", "all"] as const) {
    startedAt = performance.now();
    await stage.take("big", {
      backup: { contents },
      parts: { onProgress: () => (mostRss = Math.max(mostRss, process.memoryUsage.rss())) },
    });
    figures[contents] = plain / (performance.now() - startedAt);
  }
  const [newest] = (await stage.list("big")).good;
  startedAt = performance.now();
  const verified = await stage.verify("big", newest?.manifest.backup ?? "");
  process.stdout.write(
    `${JSON.stringify({ rows, databaseBytes: Number(size?.size), plainMs: Math.round(plain), plainBytes: statSync(plainFile).size, speedOfPlain: figures, rssBefore: before >> 20, rssMost: mostRss >> 20, verifyMs: Math.round(performance.now() - startedAt), compared: verified.compared })}\n`,
  );
} finally {
  await stage.stop();
}
