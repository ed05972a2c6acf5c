import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Mistake } from "./mistakes.ts";
import { select } from "./references.ts";
import { isVerifier, NOT_A_VERIFIER } from "./verifier.ts";

const VERIFIER_FILES = ["people.*.verifier_file", "workloads.*.verifier_file"];

const BACKUP_SECRETS = [
  "backups.stores.*.access_key",
  "backups.stores.*.secret_key",
  "backups.stores.*.key",
  "backups.encryption.identity",
  "backups.scratch.url",
  "backups.databases.*.login.password",
];

/** Files that must be there and readable before we start. */
const FILES = [
  "listen.tls.cert",
  "listen.tls.key",
  "listen.tls.client_ca",
  "listen.tls.client_crl",
  "admin.tls.cert",
  "admin.tls.key",
  "admin.metrics.token.file",
  "upstreams.*.password.file",
  "upstreams.*.verifiers.password.file",
  "databases.*.logins.*.password.file",
  "databases.*.second_lock.password.file",
  "upstreams.*.tls.ca",
  "upstreams.*.tls.cert",
  "upstreams.*.tls.key",
  ...VERIFIER_FILES,
  "tokens.*.keys.file",
  "tokens.*.ca",
  "approvals.allowed_signers",
  "approvals.revoked_keys",
  "store.postgres.file",
  "alerts.sinks.*.webhook.file",
  "alerts.sinks.*.secret.file",
  "alerts.sinks.*.password.file",
  "alerts.sinks.*.routing_key.file",
  "backups.trusted_keys.*",
  ...BACKUP_SECRETS.map((secret) => `${secret}.file`),
];

const VARIABLES = [
  "admin.metrics.token.env",
  "upstreams.*.password.env",
  "upstreams.*.verifiers.password.env",
  "databases.*.logins.*.password.env",
  "databases.*.second_lock.password.env",
  "store.postgres.env",
  "alerts.sinks.*.webhook.env",
  "alerts.sinks.*.secret.env",
  "alerts.sinks.*.password.env",
  "alerts.sinks.*.routing_key.env",
  ...BACKUP_SECRETS.map((secret) => `${secret}.env`),
];

/** Files and environment variables that the configuration names and that are not there. */
export function checkSurroundings(
  raw: unknown,
  { directory, env }: { directory: string; env: NodeJS.ProcessEnv },
): Mistake[] {
  const files = FILES.flatMap((pattern) => select(raw, pattern)).flatMap(({ path, value }) => {
    const problem =
      typeof value === "string" ? problemWithFile(resolve(directory, value)) : undefined;
    return problem === undefined ? [] : [{ path, of: "value" as const, message: problem }];
  });
  const verifiers = VERIFIER_FILES.flatMap((pattern) => select(raw, pattern)).flatMap(
    ({ path, value }) => {
      const file = typeof value === "string" ? resolve(directory, value) : "";
      if (problemWithFile(file) !== undefined) return [];
      if (isVerifier(readFileSync(file, "utf8").trim())) return [];
      return [{ path, of: "value" as const, message: `${file} ${NOT_A_VERIFIER}` }];
    },
  );
  const variables = VARIABLES.flatMap((pattern) => select(raw, pattern)).flatMap(
    ({ path, value }) =>
      typeof value !== "string" || (env[value] ?? "") !== ""
        ? []
        : [{ path, of: "value" as const, message: `environment variable ${value} is not set` }],
  );
  return [...files, ...verifiers, ...variables];
}

function problemWithFile(file: string): string | undefined {
  try {
    if (!statSync(file).isFile()) return `${file} is not a file`;
    accessSync(file, constants.R_OK);
    return undefined;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return code === "ENOENT" ? `${file} does not exist` : `${file} can't be read (${code})`;
  }
}
