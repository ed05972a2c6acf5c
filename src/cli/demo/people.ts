import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatKeyFiles } from "../../approvals/ssh-private-key.ts";
import { formatVerifier, makeVerifier } from "../../auth/verifier.ts";
import { Secret } from "../../base/secret.ts";

/** Somebody of the demo, with the password that logs in and the SSH key that signs. */
export interface Person {
  readonly name: string;
  readonly password: string;
  /** An unencrypted Ed25519 key in OpenSSH's format; its public half lies beside it. */
  readonly keyFile: string;
}

/**
 * Makes a person's password, verifier and key in `directory`, or takes those that are there. Only their owner can
 * read them: a demo on a shared machine is nobody else's way in.
 */
export async function enroll(name: string, directory: string): Promise<Person> {
  for (const folder of ["people", "keys"]) {
    mkdirSync(join(directory, folder), { recursive: true, mode: 0o700 });
  }
  const passwordFile = join(directory, "people", `${name}.password`);
  const keyFile = join(directory, "keys", name);
  const password = keptSecret(passwordFile);
  const verifier = await makeVerifier(new Secret(password));
  writeFileSync(verifierFile(name, directory), `${formatVerifier(verifier)}\n`, { mode: 0o600 });
  if (!existsSync(keyFile)) {
    const { privateKeyFile, publicKeyFile } = formatKeyFiles(randomBytes(32), name);
    writeFileSync(`${keyFile}.pub`, publicKeyFile);
    writeFileSync(keyFile, privateKeyFile, { mode: 0o600 });
  }
  return { name, password, keyFile };
}

/** A line of `allowed_signers`: which key signs for whom. */
export function signerLine({ name, keyFile }: Person): string {
  return `${name} ${readFileSync(`${keyFile}.pub`, "utf8")}`;
}

/** Whatever stands in the file; a new random secret if there is none yet. */
export function keptSecret(file: string): string {
  if (!existsSync(file)) {
    writeFileSync(file, `${randomBytes(9).toString("hex")}\n`, { mode: 0o600 });
  }
  return readFileSync(file, "utf8").trim();
}

function verifierFile(name: string, directory: string): string {
  return join(directory, "people", `${name}.verifier`);
}
