import { once } from "node:events";
import type { BackupEncryption } from "../config/backups.ts";
import { BackupFailed } from "./backup-failed.ts";
import type { BackupStore } from "./backup-store.ts";
import { decrypted, decryptStep } from "./encryption.ts";
import type { Manifest } from "./manifest.ts";
import { Pipeline, type Step } from "./pipeline.ts";
import { findProgram, whereIs } from "./programs.ts";
import { drained, identityOf, storedObject } from "./read-backup.ts";
import { withLibpq, type ServerLogin } from "./server-login.ts";

/** How much of a dump is restored. A table alone lacks the types that it is made of, so the schema goes first. */
type DumpPart =
  | { readonly kind: "all" }
  | { readonly kind: "schema" }
  | {
      readonly kind: "rows";
      readonly of: { readonly schema: string; readonly name: string } | "all";
    };

export interface LoadDump {
  readonly manifest: Manifest;
  readonly encryption: BackupEncryption | undefined;
  readonly programsDirectory: string | undefined;
  readonly into: Omit<ServerLogin, "session" | "version">;
  readonly part: DumpPart;
  readonly keepsTablespaces: boolean;
  readonly signal: AbortSignal;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Restores a dump into an empty database by pg_restore, streaming. Any error of any statement is one of the restore.
 *
 * @throws BackupFailed with pg_restore's words; BackupDamaged
 */
export async function loadDump(
  store: BackupStore,
  {
    manifest,
    encryption,
    programsDirectory,
    into,
    part,
    keepsTablespaces,
    signal,
    onBytes,
  }: LoadDump,
): Promise<void> {
  const program = await findProgram("pg_restore", {
    directory: programsDirectory,
    serverMajor: into.major,
  });
  const stored = storedObject(store, manifest, {
    name: "dump",
    signal,
    ...(onBytes !== undefined && { onBytes }),
  });
  const { content, steps } = readingSteps(manifest, { encryption, stored });
  await withLibpq(into, { clientMajor: program.major }, async (environment) => {
    const run = new Pipeline(
      [
        ...steps,
        {
          name: "pg_restore",
          file: program.file,
          args: [
            "--dbname",
            into.database,
            "--no-password",
            "--exit-on-error",
            ...argumentsOf(part),
            ...(keepsTablespaces ? [] : ["--no-tablespaces"]),
          ],
          env: environment,
        },
      ],
      signal,
    );
    const reading = drained(run.output());
    // What is read is checked to its last byte, even where pg_restore has seen enough.
    const writing = feed(content, run);
    const [written, restored] = await Promise.allSettled([writing, reading]);
    if (written.status === "rejected") throw written.reason;
    if (restored.status === "rejected") throw restored.reason;
  });
}

function argumentsOf(part: DumpPart): readonly string[] {
  switch (part.kind) {
    case "all":
      return [];
    case "schema":
      return ["--section=pre-data"];
    case "rows":
      return part.of === "all"
        ? ["--section=data"]
        : ["--section=data", "--schema", part.of.schema, "--table", part.of.name];
  }
}

/** What undoes encryption and compression, by programs as far as there are some. */
function readingSteps(
  manifest: Manifest,
  {
    encryption,
    stored,
  }: {
    readonly encryption: BackupEncryption | undefined;
    readonly stored: AsyncIterable<Uint8Array>;
  },
): { readonly content: AsyncIterable<Uint8Array>; readonly steps: readonly Step[] } {
  const steps: Step[] = [];
  let content = stored;
  if (manifest.encryption === "age") {
    const identity = identityOf(encryption);
    const step = decryptStep(identity);
    if (step === undefined) content = decrypted(stored, identity);
    else steps.push(step);
  }
  if (manifest.compression === "zstd") {
    const file = whereIs("zstd");
    if (file === undefined) {
      throw new BackupFailed("the backup is compressed by zstd, which is not on this machine", {
        hint: "install zstd",
      });
    }
    steps.push({ name: "zstd", file, args: ["--decompress", "--stdout", "--quiet"] });
  }
  return { content, steps };
}

/**
 * Writes what is stored into the first program. A reader that has seen enough leaves early; the rest is read all the
 * same, so that the digest at its end is checked, unless a program has failed.
 */
async function feed(content: AsyncIterable<Uint8Array>, run: Pipeline): Promise<void> {
  const { input } = run;
  const closed = once(input, "close").catch(() => undefined);
  try {
    for await (const chunk of content) {
      if (input.destroyed) {
        if (await hasFailed(run)) return; // told by its own words
      } else if (!input.write(chunk)) {
        await Promise.race([once(input, "drain").catch(() => undefined), closed]);
      }
    }
    input.end();
  } catch (error) {
    run.stop();
    throw error;
  }
}

function hasFailed(run: Pipeline): Promise<boolean> {
  return run.ended().then(
    () => false,
    () => true,
  );
}
