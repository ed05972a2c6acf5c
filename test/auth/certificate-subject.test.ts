import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { namesSubject, type CertificateSubject } from "../../src/auth/certificate-subject.ts";
import { pem } from "../support/pem.ts";

const alice = new X509Certificate(pem("alice.crt"));
const server = new X509Certificate(pem("server.crt"));
const twoNames = new X509Certificate(pem("two-names.crt"));
const tricky = new X509Certificate(pem("tricky.crt"));

describe("a certificate", () => {
  it.each<[string, X509Certificate, CertificateSubject]>([
    ["its common name", alice, { kind: "common_name", name: "alice" }],
    ["its mail address", alice, { kind: "email", name: "alice@example.com" }],
    ["its DNS name", server, { kind: "dns", name: "localhost" }],
  ])("names somebody by %s", (_, certificate, subject) => {
    expect(namesSubject(certificate, subject)).toBe(true);
  });

  it.each<[string, X509Certificate, CertificateSubject]>([
    ["another common name", alice, { kind: "common_name", name: "bob" }],
    ["a longer common name", alice, { kind: "common_name", name: "alice " }],
    ["an empty one", alice, { kind: "common_name", name: "" }],
    ["another mail address", alice, { kind: "email", name: "bob@example.com" }],
    ["the common name, taken for a DNS name", alice, { kind: "dns", name: "alice" }],
    ["either of two common names", twoNames, { kind: "common_name", name: "alice" }],
    ["the other of two", twoNames, { kind: "common_name", name: "bob" }],
    ["a line faked inside a common name", tricky, { kind: "common_name", name: "bob" }],
    ["an address faked inside another", tricky, { kind: "email", name: "bob@example.com" }],
  ])("does not name %s", (_, certificate, subject) => {
    expect(namesSubject(certificate, subject)).toBe(false);
  });
});
