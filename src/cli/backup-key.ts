import { writeFileSync } from "node:fs";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import type { Terminal } from "./terminal.ts";

/** As age-keygen does it: the private key into a file for its owner only, the public one to be seen. */
export async function makeKey(
  { out }: { readonly out: string },
  terminal: Terminal,
): Promise<void> {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const text = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n${identity}\n`;
  // `wx`: a key that is overwritten takes all its backups with it.
  writeFileSync(out, text, { mode: 0o600, flag: "wx" });
  terminal.print(recipient);
  terminal.note(
    `${out} holds the private key. Without it no backup can be read: keep a copy away from here.`,
  );
}
