import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Secret } from "../base/secret.ts";

/**
 * The secret behind the salts that unknown names are shown: kept, since a salt that changed with a restart would tell
 * that nobody has it. Replicas behind one address share a copy of the file.
 */
export function openLoginSecret(directory: string): Secret<Buffer> {
  const file = path.join(directory, "login-secret");
  if (!existsSync(file))
    writeFileSync(file, randomBytes(32).toString("hex"), { mode: 0o600, flag: "wx" });
  const secret = Buffer.from(readFileSync(file, "utf8").trim(), "hex");
  if (secret.length !== 32)
    throw new Error(`${file} does not hold 64 hex digits: remove it to have it made anew`);
  return new Secret(secret);
}
