import { createHash, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tlsServerEndPoint } from "../../src/auth/tls-server-end-point.ts";
import { pem } from "../support/pem.ts";

describe("tls-server-end-point", () => {
  it.each([
    ["rsa-sha1.crt", "sha256", "SHA-1 is replaced"],
    ["rsa-sha512.crt", "sha512", "its own"],
    ["pss-sha384.crt", "sha384", "named in the parameters"],
    ["ecdsa-sha384.crt", "sha384", "its own"],
    ["server.crt", "sha256", "its own"],
  ])("of %s is by %s: %s", (name, hash) => {
    const { raw } = new X509Certificate(pem(name));
    expect(tlsServerEndPoint(raw)).toEqual(createHash(hash).update(raw).digest());
  });

  it("does not exist where the signature has no hash of its own", () => {
    expect(tlsServerEndPoint(new X509Certificate(pem("ed25519.crt")).raw)).toBeUndefined();
  });

  it("reads nothing beyond a certificate that is cut or damaged", () => {
    const { raw } = new X509Certificate(pem("pss-sha384.crt"));
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        expect(tlsServerEndPoint(raw.subarray(0, at))).toBeUndefined();
        const damaged = Buffer.from(raw);
        damaged[at] = byte;
        tlsServerEndPoint(damaged);
      }),
      { numRuns: 1000 },
    );
  });
});
