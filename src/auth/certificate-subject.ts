import type { X509Certificate } from "node:crypto";
import { assertNever } from "../base/assert-never.ts";

/** By what a client certificate names a person: its subject's common name, or a name in subjectAltName. */
export interface CertificateSubject {
  readonly kind: "common_name" | "email" | "dns";
  readonly name: string;
}

/** @param certificate - verified already: this only reads what stands in it */
export function namesSubject(
  certificate: X509Certificate,
  { kind, name }: CertificateSubject,
): boolean {
  switch (kind) {
    case "common_name":
      return commonName(certificate) === name;
    case "email":
      return certificate.checkEmail(name, { subject: "never" }) !== undefined;
    case "dns":
      return certificate.checkHost(name, { subject: "never", wildcards: false }) !== undefined;
    default:
      return assertNever(kind);
  }
}

/**
 * `subject` has one attribute a line, control characters and the special ones of RFC 2253 escaped: a name can't fake
 * a line of its own, and one that needs escaping matches nobody. Two common names are nobody's either.
 */
function commonName({ subject }: X509Certificate): string | undefined {
  const names = subject.split("\n").filter((line) => line.startsWith("CN="));
  return names.length === 1 ? names[0]?.slice("CN=".length) : undefined;
}
