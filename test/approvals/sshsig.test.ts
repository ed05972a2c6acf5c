import { generateKeyPairSync, sign as rawSign, createHash, type KeyObject } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Malformed } from "../../src/approvals/malformed.ts";
import { fingerprint, parsePublicKeyLine, formatPublicKey } from "../../src/approvals/ssh-key.ts";
import {
  ed25519KeyPair,
  formatKeyFiles,
  parsePrivateKey,
} from "../../src/approvals/ssh-private-key.ts";
import { sshString, sshUint32 } from "../../src/approvals/ssh-wire.ts";
import { APPROVAL_NAMESPACE, signSshsig, verifySshsig } from "../../src/approvals/sshsig.ts";
import { BOB } from "./people.ts";

const MESSAGE = "drop it";
const SIGNED = signSshsig(BOB, { message: MESSAGE, namespace: APPROVAL_NAMESPACE });

function verdict(armored: string, message = MESSAGE): string {
  return verifySshsig(armored, { message, namespace: APPROVAL_NAMESPACE }).kind;
}

describe("a signature", () => {
  it("is valid for its message and namespace only", () => {
    expect(verdict(SIGNED)).toBe("valid");
    expect(verdict(SIGNED, "drop it ")).toBe("wrong_signature");
    const forGit = signSshsig(BOB, { message: MESSAGE, namespace: "git" });
    expect(verdict(forGit)).toBe("other_namespace");
  });

  it("may come with other line ends, as mail and browsers make them", () => {
    expect(verdict(SIGNED.replaceAll("\n", "\r\n"))).toBe("valid");
    expect(verdict(SIGNED.trimEnd())).toBe("valid");
  });

  it("is worth nothing after any change of one bit", () => {
    const blob = unarmored(SIGNED);
    fc.assert(
      fc.property(fc.nat(blob.length * 8 - 1), (bit) => {
        const changed = Buffer.from(blob);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(verdict(armored(changed))).not.toBe("valid");
      }),
      { numRuns: 500 },
    );
  });

  it("is worth nothing when cut short or drawn out anywhere", () => {
    const blob = unarmored(SIGNED);
    for (let length = 0; length < blob.length; length++) {
      expect(verdict(armored(blob.subarray(0, length)))).toBe("malformed");
    }
    expect(verdict(armored(Buffer.concat([blob, Buffer.alloc(1)])))).toBe("malformed");
  });

  it("is malformed, whatever else comes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const magic = Buffer.concat([Buffer.from("SSHSIG"), sshUint32(1), bytes]);
        expect(verdict(armored(magic))).toBe("malformed");
        expect(verdict(Buffer.from(bytes).toString("latin1"))).toBe("malformed");
      }),
    );
  });

  it.each<[string, (text: string) => string]>([
    ["without its first line", (text) => text.slice(text.indexOf("\n") + 1)],
    ["without its last line", (text) => text.replace(/-----END.*/, "")],
    ["with something before it", (text) => `x\n${text}`],
    ["with something after it", (text) => `${text}x`],
    ["with blanks in the base64", (text) => text.replace(/\n(.)/, "\n $1")],
    ["with bits after the end of the base64", (text) => text.replace(/.(?==*\n-----END)/, "B")],
    ["of 100 kB", (text) => text.replace("\n", `\n${"A".repeat(100_000)}`)],
  ])("is malformed %s", (_, change) => {
    expect(verdict(change(SIGNED))).toBe("malformed");
  });

  it.each<[string, Partial<Parts>]>([
    ["version 2", { version: 2 }],
    ["SHA-1", { hash: "sha1" }],
    ["a reserved field in use", { reserved: "x" }],
    ["a key of another type than the signature", { signatureType: "ssh-rsa" }],
    ["a short signature", { signature: Buffer.alloc(63), kind: "wrong_signature" }],
    ["a signature of zeros", { signature: Buffer.alloc(64), kind: "wrong_signature" }],
  ])("is refused with %s", (_, { kind = "malformed", ...parts }) => {
    expect(verdict(assembled(parts))).toBe(kind);
  });
});

/** What a FIDO2 device would answer, by a key that lies in memory instead. */
describe("a FIDO2 signature", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const application = "ssh:";

  it.each([
    ["with the key touched", 0x01, "valid"],
    ["with touch and PIN", 0x05, "valid"],
    ["with nobody there", 0x00, "nobody_present"],
    ["with only a PIN", 0x04, "nobody_present"],
  ])("%s", (_, flags, expected) => {
    expect(verdict(hardwareSignature({ privateKey, publicKey, application, flags }))).toBe(
      expected,
    );
  });

  it("covers its flags and its application", () => {
    const parts = { privateKey, publicKey, application, flags: 1 };
    const flipped = hardwareSignature({ ...parts, flags: 0, flagsSent: 1 });
    expect(verdict(flipped)).toBe("wrong_signature");
    const moved = hardwareSignature({ ...parts, applicationSent: "https://evil" });
    expect(verdict(moved)).toBe("wrong_signature");
  });
});

describe("a public key", () => {
  const line = formatPublicKey(BOB.publicKey);

  it("comes back as it was, comment or not", () => {
    expect(formatPublicKey(parsePublicKeyLine(`${line} bob@laptop`))).toBe(line);
    expect(fingerprint(BOB.publicKey)).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
  });

  it.each<[string, string]>([
    ["nothing", ""],
    ["a label only", "ssh-ed25519"],
    ["another label", line.replace("ssh-ed25519", "ssh-rsa")],
    ["DSA", key("ssh-dss", sshString(Buffer.of(1)))],
    [
      "a byte too many",
      `ssh-ed25519 ${Buffer.concat([BOB.publicKey.blob, Buffer.of(0)]).toString("base64")}`,
    ],
    ["a point that is too short", key("ssh-ed25519", sshString(Buffer.alloc(31)))],
    [
      "a point beside its curve",
      key(
        "ecdsa-sha2-nistp256",
        sshString("nistp256"),
        sshString(Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)])),
      ),
    ],
    [
      "a compressed point",
      key(
        "ecdsa-sha2-nistp256",
        sshString("nistp256"),
        sshString(Buffer.concat([Buffer.of(2), Buffer.alloc(64, 1)])),
      ),
    ],
    [
      "another curve inside",
      key("ecdsa-sha2-nistp256", sshString("nistp384"), sshString(Buffer.alloc(97, 4))),
    ],
    [
      "RSA of 1024 bits",
      key(
        "ssh-rsa",
        sshString(Buffer.of(1, 0, 1)),
        sshString(Buffer.concat([Buffer.of(0), Buffer.alloc(128, 0xff)])),
      ),
    ],
    [
      "RSA of 2047 bits",
      key("ssh-rsa", sshString(Buffer.of(1, 0, 1)), sshString(Buffer.alloc(256, 0x7f))),
    ],
    [
      "RSA with exponent one",
      key(
        "ssh-rsa",
        sshString(Buffer.of(1)),
        sshString(Buffer.concat([Buffer.of(0), Buffer.alloc(256, 0xff)])),
      ),
    ],
    [
      "RSA with a negative modulus",
      key("ssh-rsa", sshString(Buffer.of(3)), sshString(Buffer.alloc(256, 0xff))),
    ],
    ["a certificate", key("ssh-ed25519-cert-v01@openssh.com", sshString(""))],
  ])("is refused: %s", (_, text) => {
    expect(() => parsePublicKeyLine(text)).toThrow(Malformed);
  });
});

describe("a private key file", () => {
  const seed = createHash("sha256").update("a seed").digest();
  const { privateKeyFile, publicKeyFile } = formatKeyFiles(seed, "bob@example.com");

  it("comes back as the pair it was made of", () => {
    const pair = parsePrivateKey(privateKeyFile);
    expect(publicKeyFile).toBe(`${formatPublicKey(pair.publicKey)} bob@example.com\n`);
    expect(pair.publicKey.blob).toEqual(ed25519KeyPair(seed).publicKey.blob);
  });

  it.each<[string, (text: string) => string]>([
    ["no key file", () => "secret"],
    ["cut short", (text) => text.replace(/\n[^\n]+\n-----END/, "\n-----END")],
    ["with a passphrase", (text) => edit(text, "none", "aes9")],
    ["whose halves differ", (text) => edit(text, pointOf(seed), Buffer.alloc(32, 7))],
  ])("is refused: %s", (_, change) => {
    expect(() => parsePrivateKey(change(privateKeyFile))).toThrow(Malformed);
  });

  it("needs a whole seed", () => {
    expect(() => ed25519KeyPair(Buffer.alloc(31))).toThrow(RangeError);
  });
});

interface Parts {
  version: number;
  hash: string;
  reserved: string;
  signatureType: string;
  signature: Buffer;
  kind: string;
}

function assembled({
  version = 1,
  hash = "sha512",
  reserved = "",
  signatureType = "ssh-ed25519",
  signature = Buffer.alloc(64),
}: Partial<Parts>): string {
  return armored(
    Buffer.concat([
      Buffer.from("SSHSIG"),
      sshUint32(version),
      sshString(BOB.publicKey.blob),
      sshString(APPROVAL_NAMESPACE),
      sshString(reserved),
      sshString(hash),
      sshString(Buffer.concat([sshString(signatureType), sshString(signature)])),
    ]),
  );
}

function hardwareSignature({
  privateKey,
  publicKey,
  application,
  flags,
  flagsSent = flags,
  applicationSent = application,
}: {
  privateKey: KeyObject;
  publicKey: KeyObject;
  application: string;
  flags: number;
  flagsSent?: number;
  applicationSent?: string;
}): string {
  const type = "sk-ssh-ed25519@openssh.com";
  const point = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const digest = (data: Buffer | string): Buffer => createHash("sha256").update(data).digest();
  const inner = Buffer.concat([
    Buffer.from("SSHSIG"),
    sshString(APPROVAL_NAMESPACE),
    sshString(""),
    sshString("sha256"),
    sshString(digest(MESSAGE)),
  ]);
  const counter = sshUint32(9);
  const raw = rawSign(
    null,
    Buffer.concat([digest(application), Buffer.of(flags), counter, digest(inner)]),
    privateKey,
  );
  return armored(
    Buffer.concat([
      Buffer.from("SSHSIG"),
      sshUint32(1),
      sshString(Buffer.concat([sshString(type), sshString(point), sshString(applicationSent)])),
      sshString(APPROVAL_NAMESPACE),
      sshString(""),
      sshString("sha256"),
      sshString(Buffer.concat([sshString(type), sshString(raw), Buffer.of(flagsSent), counter])),
    ]),
  );
}

function armored(blob: Buffer): string {
  return `-----BEGIN SSH SIGNATURE-----\n${blob.toString("base64")}\n-----END SSH SIGNATURE-----\n`;
}

function unarmored(text: string): Buffer {
  return Buffer.from(text.split("\n").slice(1, -2).join(""), "base64");
}

function key(type: string, ...fields: Buffer[]): string {
  return `${type} ${Buffer.concat([sshString(type), ...fields]).toString("base64")}`;
}

function pointOf(seed: Buffer): Buffer {
  return ed25519KeyPair(seed).publicKey.blob.subarray(-32);
}

/** Replaces the first occurrence of some bytes inside a key file. */
function edit(text: string, from: string | Buffer, to: string | Buffer): string {
  const lines = text.trimEnd().split("\n");
  const blob = Buffer.from(lines.slice(1, -1).join(""), "base64");
  Buffer.from(to).copy(blob, blob.indexOf(from));
  return [lines[0], blob.toString("base64"), lines.at(-1)].join("\n");
}
