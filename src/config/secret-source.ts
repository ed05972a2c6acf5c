import { readFileSync } from "node:fs";
import { Secret } from "../base/secret.ts";

/** Where a secret is found. Read when it is needed, so that a rotated one is used from then on. */
export type SecretSource =
  | { readonly from: "env"; readonly name: string }
  | { readonly from: "file"; readonly path: string };

/** @throws Error when it is not there or empty; the message says where it should be, not what it is */
export function readSecret(source: SecretSource, env: NodeJS.ProcessEnv = process.env): Secret {
  if (source.from === "env") {
    const value = env[source.name] ?? "";
    if (value === "") throw new Error(`environment variable ${source.name} is not set`);
    return new Secret(value);
  }
  const value = readFileSync(source.path, "utf8").replace(/\r?\n$/, "");
  if (value === "") throw new Error(`${source.path} is empty`);
  return new Secret(value);
}
