import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Secret } from "../base/secret.ts";
import type { CertificateSubject, PrincipalConfig } from "./config.ts";
import type { ConfigText } from "./schema.ts";

type PrincipalText = ConfigText["people"][string];

export interface PrincipalFiles {
  /** What paths are relative to. */
  readonly directory: string;
  readonly readsFiles: boolean;
}

/** People and workloads in one table: who logs in is one or the other. */
export function toPrincipals(
  { people, workloads }: Pick<ConfigText, "people" | "workloads">,
  files: PrincipalFiles,
): ReadonlyMap<string, PrincipalConfig> {
  const entries = (kind: PrincipalConfig["kind"], texts: Record<string, PrincipalText>) =>
    Object.entries(texts).map(([name, text]): [string, PrincipalConfig] => [
      name,
      {
        kind,
        name,
        roles: text.roles,
        verifier: verifierOf(text, files),
        asksFor: text.asks_for,
        certificates: text.certificates.map(toSubject),
        tokens: text.tokens.map(({ issuer, claims }) => ({
          issuer,
          claims: new Map(Object.entries(claims)),
        })),
        onlyReads: text.read_only,
        places: text.only_from.map(({ environments, clients, ...how }) => ({
          environments,
          clients,
          methods: how.auth_methods,
          applicationNames: how.application_names,
        })),
        isDisabled: text.disabled,
        expiresAt: text.expires,
      },
    ]);
  return new Map([...entries("person", people), ...entries("workload", workloads)]);
}

function toSubject({
  common_name: commonName,
  email,
  dns,
}: PrincipalText["certificates"][number]): CertificateSubject {
  if (commonName !== undefined) return { kind: "common_name", name: commonName };
  return email !== undefined ? { kind: "email", name: email } : { kind: "dns", name: dns ?? "" };
}

function verifierOf(
  { verifier, verifier_file: file }: PrincipalText,
  { directory, readsFiles }: PrincipalFiles,
): Secret | undefined {
  if (verifier !== undefined) return new Secret(verifier);
  if (file === undefined || !readsFiles) return undefined;
  return new Secret(readFileSync(resolve(directory, file), "utf8").trim());
}
