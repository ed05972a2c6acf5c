import { Decrypter, Encrypter } from "age-encryption";
import { readSecret, type SecretSource } from "../config/secret-source.ts";
import { BackupDamaged, BackupFailed, reasonOf } from "./backup-failed.ts";
import type { Step } from "./pipeline.ts";
import { whereIs } from "./programs.ts";

/**
 * age's own program where it is installed: it encrypts the same format many times faster, and on another core. The
 * recipients are public, so they may stand among the arguments.
 */
export function encryptStep(recipients: readonly string[]): Step | undefined {
  const file = whereIs("age");
  if (file === undefined || !recipients.every(isClassic)) return undefined;
  const args = recipients.flatMap((recipient) => ["--recipient", recipient]);
  return { name: "age", file, args: ["--encrypt", ...args] };
}

/** The same for reading, where the private key is in a file: it shall not stand among arguments. */
export function decryptStep(identity: SecretSource): Step | undefined {
  const file = whereIs("age");
  if (file === undefined || identity.from !== "file") return undefined;
  const kept = readIdentities(identity);
  if (!kept.every((one) => one.startsWith("AGE-SECRET-KEY-1"))) return undefined;
  return { name: "age", file, args: ["--decrypt", "--identity", identity.path] };
}

/** Recipients that every version of age knows. */
function isClassic(recipient: string): boolean {
  return /^age1[02-9ac-hj-np-z]{58}$/.test(recipient);
}

export async function* encrypted(
  content: AsyncIterable<Uint8Array>,
  recipients: readonly string[],
): AsyncGenerator<Uint8Array> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  yield* await encrypter.encrypt(streamOf(content));
}

/** @throws BackupDamaged for what is not whole, or is for other keys */
export async function* decrypted(
  content: AsyncIterable<Uint8Array>,
  identity: SecretSource,
): AsyncGenerator<Uint8Array> {
  const decrypter = new Decrypter();
  for (const one of readIdentities(identity)) decrypter.addIdentity(one);
  try {
    yield* await decrypter.decrypt(streamOf(content));
  } catch (cause) {
    if (cause instanceof BackupFailed) throw cause;
    throw new BackupDamaged(`it can't be decrypted: ${reasonOf(cause)}`, {
      hint: "either it is damaged, or it is for other keys than backups.encryption.identity",
      cause,
    });
  }
}

/** A file as age-keygen writes it: comments, and private keys, one a line. */
function readIdentities(source: SecretSource): readonly string[] {
  const lines = readSecret(source)
    .reveal()
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length > 0 && lines.every((line) => line.startsWith("AGE-SECRET-KEY-"))) return lines;
  throw new BackupFailed("the identity for backups is no private key in age's format", {
    hint: "`twokey backup key`, or age-keygen, makes one",
  });
}

function streamOf(content: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = content[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller): Promise<void> {
        const next = await iterator.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel(reason): Promise<void> {
        await iterator.return?.(reason);
      },
    },
    { highWaterMark: 1 },
  );
}
