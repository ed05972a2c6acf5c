import { createHash, generateKeyPairSync, sign as rawSign, type KeyObject } from "node:crypto";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { admit, verifyApproval, type Registry } from "../../src/approvals/admit.ts";
import { parseAllowedSigners } from "../../src/approvals/allowed-signers.ts";
import { encodeApprovalDocument } from "../../src/approvals/document.ts";
import { draftApproval } from "../../src/approvals/draft.ts";
import { parseRequestId } from "../../src/approvals/request-id.ts";
import { NO_REVOKED_KEYS, parseRevokedKeys } from "../../src/approvals/revoked-keys.ts";
import { fingerprint, formatPublicKey } from "../../src/approvals/ssh-key.ts";
import { formatKeyFiles, parsePrivateKey } from "../../src/approvals/ssh-private-key.ts";
import { sshString, sshUint32 } from "../../src/approvals/ssh-wire.ts";
import { APPROVAL_NAMESPACE, signSshsig } from "../../src/approvals/sshsig.ts";
import { ASKED, BOB, NOW } from "../approvals/people.ts";
import { SIGNER_LINES } from "../approvals/signer-lines.ts";

// A stranger agrees: whatever we accept, `ssh-keygen -Y verify` accepts, and it refuses whatever was tampered with.

const folder = mkdtempSync(join(tmpdir(), "twokey-sshsig-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const isInstalled = spawnSync("ssh-keygen", ["-?"]).error === undefined;
if (!isInstalled) process.stderr.write("ssh-keygen is missing: signatures are not cross-checked\n");

const TEXT = encodeApprovalDocument(
  draftApproval(
    { id: parseRequestId("R-7F3K2M"), asked: ASKED },
    { approver: "bob", now: NOW, nonce: Buffer.alloc(16, 7), reason: "see OPS-1187" },
  ),
);

/** The last byte of the version: ssh-keygen lets versions below its own pass, we only know the one. */
const VERSION_BYTE = 9;

interface Case {
  readonly text?: string;
  readonly signature: string;
  readonly signers: string;
  readonly revoked?: string | Buffer;
  readonly principal?: string;
}

function ours({ text = TEXT, signature, signers, revoked, principal = "bob" }: Case): boolean {
  const registry: Registry = {
    signers: parseAllowedSigners(signers),
    revoked: revoked === undefined ? NO_REVOKED_KEYS : parseRevokedKeys(revoked),
    groups: new Map(),
  };
  const document = text.replace('"approver":"bob"', `"approver":"${principal}"`);
  return verifyApproval({ document, signature }, { registry, now: NOW }).kind === "verified";
}

function theirs({ text = TEXT, signature, signers, revoked, principal = "bob" }: Case): boolean {
  const document = text.replace('"approver":"bob"', `"approver":"${principal}"`);
  const [file, list] = [path("signers", signers), path("signature", signature)];
  const options = ["-O", "verify-time=20261123170000Z"];
  if (revoked !== undefined) options.push("-r", path("revoked", revoked));
  const { status } = spawnSync(
    "ssh-keygen",
    [
      ...["-Y", "verify", "-f", file, "-I", principal, "-n", APPROVAL_NAMESPACE, "-s", list],
      ...options,
    ],
    { input: document },
  );
  return status === 0;
}

function path(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

function keygen(args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync("ssh-keygen", args, { input, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

let generated = 0;

function generate(type: string, bits?: string): { file: string; publicKey: string } {
  const file = join(folder, `key-${++generated}`);
  // A file of its own each: ssh-keygen asks before it overwrites.
  keygen(["-q", "-t", type, ...(bits === undefined ? [] : ["-b", bits]), "-N", "", "-f", file]);
  return { file, publicKey: readFileSync(`${file}.pub`, "utf8").trim() };
}

describe.skipIf(!isInstalled)("signatures by ssh-keygen", () => {
  describe.each([
    ["ed25519", undefined],
    ["ecdsa", "256"],
    ["ecdsa", "384"],
    ["ecdsa", "521"],
    ["rsa", "2048"],
    ["rsa", "3072"],
  ])("with a key of type %s %s", (type, bits) => {
    const { file, publicKey } = isInstalled ? generate(type, bits) : { file: "", publicKey: "" };
    const signers = `bob ${publicKey}`;
    const other = `bob ${formatPublicKey(BOB.publicKey)}`;

    it.each(["sha256", "sha512"])("and hash %s are accepted by both, and no other", (hash) => {
      const args = ["-q", "-Y", "sign", "-f", file, "-n", APPROVAL_NAMESPACE];
      const signature = keygen([...args, "-O", `hashalg=${hash}`], TEXT);
      const good: Case = { signature, signers };
      expect([ours(good), theirs(good)]).toEqual([true, true]);
      const tampered: Case[] = [
        { ...good, text: TEXT.replace("shop", "hr") },
        { ...good, text: TEXT.replace('"uses":1', '"uses":2') },
        { ...good, signers: other },
        { ...good, signers: `carol ${publicKey}` },
        { ...good, signers: `bob namespaces="git" ${publicKey}` },
        { ...good, revoked: publicKey },
        { ...good, signature: keygen(["-q", "-Y", "sign", "-f", file, "-n", "git"], TEXT) },
      ];
      for (const each of tampered) expect([ours(each), theirs(each)]).toEqual([false, false]);
    });

    it("are accepted by neither after one byte has changed, wherever it is", () => {
      const args = ["-q", "-Y", "sign", "-f", file, "-n", APPROVAL_NAMESPACE];
      const lines = keygen(args, TEXT).trimEnd().split("\n");
      const blob = Buffer.from(lines.slice(1, -1).join(""), "base64");
      // Twenty places, spread over all fields; ours is asked about every byte in the unit tests.
      for (let place = 0; place < 20; place++) {
        const at = Math.floor((place * (blob.length - 1)) / 19);
        const changed = Buffer.from(blob);
        changed[at] = (changed[at] ?? 0) ^ 0x01;
        const signature = [lines[0], changed.toString("base64"), lines.at(-1), ""].join("\n");
        const each = { signature, signers };
        expect([at, ours(each), theirs(each)]).toEqual([at, false, at === VERSION_BYTE]);
      }
    });
  });

  it("with 1024-bit RSA are refused by us, whatever ssh-keygen thinks", () => {
    const { publicKey } = generate("rsa", "1024");
    expect(() => parseAllowedSigners(`bob ${publicKey}`)).toThrow("RSA key of 1024 bits");
  });
});

describe.skipIf(!isInstalled)("signatures by us", () => {
  it("are accepted by ssh-keygen", () => {
    const signature = signSshsig(BOB, { message: TEXT, namespace: APPROVAL_NAMESPACE });
    const good = { signature, signers: `bob ${formatPublicKey(BOB.publicKey)}` };
    expect([ours(good), theirs(good)]).toEqual([true, true]);
    expect(theirs({ ...good, text: `${TEXT}\n` })).toBe(false);
  });

  it("can be made with a key file of ssh-keygen's, and the other way round", () => {
    const { file, publicKey } = generate("ed25519");
    const pair = parsePrivateKey(readFileSync(file, "utf8"));
    expect(publicKey.startsWith(formatPublicKey(pair.publicKey))).toBe(true);

    const written = formatKeyFiles(createHash("sha256").update("seed").digest(), "bob@home");
    const own = path("own-key", written.privateKeyFile);
    expect(keygen(["-y", "-f", own])).toBe(written.publicKeyFile);
    const args = ["-q", "-Y", "sign", "-f", own, "-n", APPROVAL_NAMESPACE];
    const good = { signature: keygen(args, TEXT), signers: `bob ${written.publicKeyFile}` };
    expect([ours(good), theirs(good)]).toEqual([true, true]);
    expect(keygen(["-l", "-f", own])).toContain(
      fingerprint(parsePrivateKey(written.privateKeyFile).publicKey),
    );
  });

  it("can't be made with a key that needs a passphrase", () => {
    const file = join(folder, "locked");
    keygen(["-q", "-t", "ed25519", "-N", "secret", "-f", file]);
    expect(() => parsePrivateKey(readFileSync(file, "utf8"))).toThrow("passphrase");
  });
});

describe.skipIf(!isInstalled)("FIDO2 signatures, from a device played by the test", () => {
  it.each([
    ["sk-ssh-ed25519@openssh.com", generateKeyPairSync("ed25519")],
    ["sk-ecdsa-sha2-nistp256@openssh.com", generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ])("of type %s are accepted by both", (type, { publicKey, privateKey }) => {
    const key = Buffer.concat([sshString(type), publicPart(publicKey), sshString("ssh:")]);
    const signers = `bob ${type} ${key.toString("base64")}`;
    const good = { signature: deviceSignature(key, { type, privateKey, flags: 0x01 }), signers };
    expect([ours(good), theirs(good)]).toEqual([true, true]);
    const edited = { ...good, text: TEXT.replace("shop", "hr") };
    expect([ours(edited), theirs(edited)]).toEqual([false, false]);
    // ssh-keygen leaves it to its caller to ask for the touch; we ask.
    const untouched = { signature: deviceSignature(key, { type, privateKey, flags: 0 }), signers };
    expect(ours(untouched)).toBe(false);
  });
});

describe.skipIf(!isInstalled)("certificates", () => {
  const authority = isInstalled ? generate("ed25519") : { file: "", publicKey: "" };
  const stranger = isInstalled ? generate("ed25519") : authority;
  const signers = `* cert-authority ${authority.publicKey}`;

  /** Has `issuer` certify the key, and signs with the certificate. */
  function certified(
    key: { file: string },
    options: readonly string[],
    issuer: { file: string } = authority,
  ): string {
    keygen(["-q", "-s", issuer.file, "-I", "id", ...options, `${key.file}.pub`]);
    const certificate = `${key.file}-cert.pub`;
    return keygen(["-q", "-Y", "sign", "-f", certificate, "-n", APPROVAL_NAMESPACE], TEXT);
  }

  it.each([
    ["ed25519", undefined],
    ["ecdsa", "256"],
    ["ecdsa", "521"],
    ["rsa", "2048"],
  ])("of %s %s keys, and by such authorities, are accepted by both", (type, bits) => {
    const key = generate(type, bits);
    const good: Case = { signature: certified(key, ["-n", "bob"]), signers };
    expect([ours(good), theirs(good)]).toEqual([true, true]);

    const other = generate(type, bits);
    const signature = certified(stranger, ["-n", "carol,bob"], other);
    const by: Case = { signature, signers: `bob cert-authority ${other.publicKey}` };
    expect([ours(by), theirs(by)]).toEqual([true, true]);
    expect([ours({ ...by, signers }), theirs({ ...by, signers })]).toEqual([false, false]);
  });

  it.each<[string, readonly string[], boolean]>([
    ["for another principal", ["-n", "carol"], false],
    ["for a pattern", ["-n", "*"], false],
    ["for nobody in particular", [], false],
    ["for a host", ["-h", "-n", "bob"], false],
    ["that ends now", ["-n", "bob", "-V", "20261101000000Z:20261123170000Z"], false],
    ["that ends in a second", ["-n", "bob", "-V", "20261101000000Z:20261123170001Z"], true],
    ["that begins now", ["-n", "bob", "-V", "20261123170000Z:20261201000000Z"], true],
    ["that begins in a second", ["-n", "bob", "-V", "20261123170001Z:20261201000000Z"], false],
  ])("%s: ssh-keygen agrees", (_, options, isAccepted) => {
    const each: Case = { signature: certified(generate("ed25519"), options), signers };
    expect([ours(each), theirs(each)]).toEqual([isAccepted, isAccepted]);
  });

  it("count by what the lines of their authority say, and by no other line", () => {
    const key = generate("ed25519");
    const good: Case = { signature: certified(key, ["-n", "bob"]), signers };
    const { publicKey } = authority;
    const refused: Case[] = [
      { ...good, signers: `bob ${publicKey}` },
      { ...good, signers: `bob ${key.publicKey}` },
      { ...good, signers: `carol cert-authority ${publicKey}` },
      { ...good, signers: `bob cert-authority ${stranger.publicKey}` },
      { ...good, signers: `bob cert-authority,namespaces="git" ${publicKey}` },
      { ...good, signers: `bob cert-authority,valid-before="20260101Z" ${publicKey}` },
      { ...good, revoked: key.publicKey },
      { ...good, revoked: publicKey },
      { ...good, text: TEXT.replace("shop", "hr") },
    ];
    for (const each of refused) expect([ours(each), theirs(each)]).toEqual([false, false]);
  });

  it("that restrict themselves are refused by us, as none of that speaks of approvals", () => {
    const options = ["-n", "bob", "-O", "force-command=ls"];
    expect(ours({ signature: certified(generate("ed25519"), options), signers })).toBe(false);
  });

  it("are refused by both after one byte has changed, wherever it is", () => {
    const lines = certified(generate("ed25519"), ["-n", "bob"]).trimEnd().split("\n");
    const blob = Buffer.from(lines.slice(1, -1).join(""), "base64");
    for (let at = 0; at < blob.length; at++) {
      const changed = Buffer.from(blob);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      const signature = [lines[0], changed.toString("base64"), lines.at(-1), ""].join("\n");
      expect([at, ours({ signature, signers })]).toEqual([at, false]);
      if (at % 40 === 0) expect([at, theirs({ signature, signers })]).toEqual([at, false]);
    }
  });

  it("never let the requester sign, in whoever's name", () => {
    const signature = certified(generate("ed25519"), ["-n", "bob,alice"]);
    const registry = {
      signers: parseAllowedSigners(signers),
      revoked: NO_REVOKED_KEYS,
      groups: new Map([["bob", ["leads"]]]),
    };
    const request = { id: parseRequestId("R-7F3K2M"), asked: ASKED };
    const asked = { request, terms: ASKED.terms, registry, now: NOW };
    expect(admit({ document: TEXT, signature }, asked)).toEqual({
      kind: "does_not_count",
      because: { kind: "requesters_key" },
    });
  });
});

describe.skipIf(!isInstalled)("a binary revocation list", () => {
  const authority = isInstalled ? generate("ed25519") : { file: "", publicKey: "" };
  const key = isInstalled ? generate("ecdsa", "256") : authority;
  const other = isInstalled ? generate("ed25519") : authority;
  const certify = ["-q", "-s", authority.file, "-I", "bob@laptop", "-n", "bob", "-z", "1042"];
  if (isInstalled) keygen([...certify, `${key.file}.pub`]);
  const signedBy = (file: string): string =>
    keygen(["-q", "-Y", "sign", "-f", file, "-n", APPROVAL_NAMESPACE], TEXT);
  const plain = isInstalled
    ? { signature: signedBy(key.file), signers: `bob ${key.publicKey}` }
    : { signature: "", signers: "" };
  const certified = isInstalled
    ? {
        signature: signedBy(`${key.file}-cert.pub`),
        signers: `bob cert-authority ${authority.publicKey}`,
      }
    : plain;

  /** As ssh-keygen makes it of these lines ("KEY REVOCATION LISTS"), for certificates of one authority or of any. */
  function krl(lines: string, forAny = false): Buffer {
    const file = join(folder, `krl-${++generated}`);
    const of = ["-s", forAny ? "none" : `${authority.file}.pub`];
    keygen(["-q", "-k", "-f", file, ...of, path("krl-lines", lines)]);
    return readFileSync(file);
  }

  it.each<[string, string, boolean, boolean]>([
    ["the key", `KEY`, true, true],
    ["the key's SHA-256", "sha256: KEY", true, true],
    ["the key's SHA-1", "sha1: KEY", true, true],
    ["its authority", "AUTHORITY", false, true],
    ["the certificate's serial number", "serial: 1042", false, true],
    ["a range of serial numbers", "serial: 1000-1100", false, true],
    ["many serial numbers", bitmap(1042), false, true],
    ["the certificate's id", "id: bob@laptop", false, true],
    ["another key", "OTHER", false, false],
    ["another serial number", "serial: 1041", false, false],
    ["many others", bitmap(1043), false, false],
    ["another id", "id: bob@desktop", false, false],
  ])("of %s: ssh-keygen agrees", (_, spec, revokesKey, revokesCertificate) => {
    const lines = spec
      .replace("KEY", key.publicKey)
      .replace("AUTHORITY", authority.publicKey)
      .replace("OTHER", other.publicKey);
    const revoked = krl(lines);
    const asPlain = { ...plain, revoked };
    expect([ours(asPlain), theirs(asPlain)]).toEqual([!revokesKey, !revokesKey]);
    const asCertified = { ...certified, revoked };
    const isGood = !revokesCertificate;
    expect([ours(asCertified), theirs(asCertified)]).toEqual([isGood, isGood]);
  });

  it("is about another authority's certificates, or any's", () => {
    const file = join(folder, `krl-${++generated}`);
    const lines = path("krl-lines", "serial: 1042");
    keygen(["-q", "-k", "-f", file, "-s", `${other.file}.pub`, lines]);
    const others = { ...certified, revoked: readFileSync(file) };
    expect([ours(others), theirs(others)]).toEqual([true, true]);
    const any = { ...certified, revoked: krl("id: bob@laptop", true) };
    expect([ours(any), theirs(any)]).toEqual([false, false]);
  });

  it("that is damaged is no use to either", () => {
    const good = krl(`${key.publicKey}\nserial: 1-9`);
    expect(() => parseRevokedKeys(good.subarray(0, -1))).toThrow("ends too early");
    expect(() => parseRevokedKeys(Buffer.concat([good, Buffer.of(9, 0, 0, 0, 0)]))).toThrow(
      "unknown type",
    );
    expect(theirs({ ...certified, revoked: good.subarray(0, -1) })).toBe(false);
  });
});

/** So many serial numbers around this one that ssh-keygen writes them as a bitmap. */
function bitmap(serial: number): string {
  return Array.from({ length: 40 }, (_, index) => `serial: ${serial + 2 * index}`).join("\n");
}

describe.skipIf(!isInstalled)("a passkey's signatures, from a browser played by the test", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const type = "sk-ecdsa-sha2-nistp256@openssh.com";
  const key = Buffer.concat([sshString(type), publicPart(publicKey), sshString("twokey.example")]);
  const signers = `bob ${type} ${key.toString("base64")}`;
  const good: Case = { signature: passkeySignature(), signers };

  /** What a browser would hand over for the challenge that SSHSIG signs, in OpenSSH's form. */
  function passkeySignature(
    changed: {
      readonly origin?: string;
      readonly claimed?: string;
      readonly kind?: string;
      readonly flags?: number;
      readonly text?: string;
    } = {},
  ): string {
    const { origin = "https://twokey.example", kind = "webauthn.get", flags = 0x05 } = changed;
    const hash = createHash("sha512")
      .update(changed.text ?? TEXT)
      .digest();
    const signed = Buffer.concat([
      Buffer.from("SSHSIG"),
      ...[APPROVAL_NAMESPACE, "", "sha512"].map((part) => sshString(part)),
      sshString(hash),
    ]);
    const clientData = Buffer.from(
      `{"type":"${kind}","challenge":"${signed.toString("base64url")}","origin":"${origin}","crossOrigin":false}`,
    );
    const sha256 = (data: Buffer | string): Buffer => createHash("sha256").update(data).digest();
    const authenticatorData = Buffer.concat([
      sha256("twokey.example"),
      Buffer.of(flags),
      sshUint32(7),
    ]);
    const raw = rawSign("sha256", Buffer.concat([authenticatorData, sha256(clientData)]), {
      key: privateKey,
      dsaEncoding: "ieee-p1363",
    });
    const blob = Buffer.concat([
      sshString("webauthn-sk-ecdsa-sha2-nistp256@openssh.com"),
      sshString(mpints(raw)),
      Buffer.of(flags),
      sshUint32(7),
      sshString(changed.claimed ?? origin),
      sshString(clientData),
      sshString(""),
    ]);
    return armored(key, blob);
  }

  it("are accepted by both: OpenSSH has a form for them", () => {
    expect([ours(good), theirs(good)]).toEqual([true, true]);
  });

  it.each<[string, Case]>([
    ["another document", { ...good, text: TEXT.replace("shop", "hr") }],
    ["another person", { ...good, signers: signers.replace("bob", "carol") }],
    ["a revoked passkey", { ...good, revoked: signers.replace("bob ", "") }],
    ["a challenge of another document", { ...good, signature: passkeySignature({ text: "x" }) }],
    [
      "the making of a passkey",
      { ...good, signature: passkeySignature({ kind: "webauthn.create" }) },
    ],
    [
      "another origin than it says",
      { ...good, signature: passkeySignature({ claimed: "https://evil.example" }) },
    ],
    ["data of attestation", { ...good, signature: passkeySignature({ flags: 0x45 }) }],
  ])("are refused by both for %s", (_, each) => {
    expect([ours(each), theirs(each)]).toEqual([false, false]);
  });

  it("are refused by us where nobody was present", () => {
    expect(ours({ ...good, signature: passkeySignature({ flags: 0 }) })).toBe(false);
  });
});

describe.skipIf(!isInstalled)("allowed_signers", () => {
  const readable = SIGNER_LINES.filter(([line]) => !line.includes('""'));
  it.each(readable)("%s  for %s: %s, and ssh-keygen agrees", (line, principal, kind) => {
    const document = TEXT.replace('"approver":"bob"', `"approver":"${principal}"`);
    const signature = signSshsig(BOB, { message: document, namespace: APPROVAL_NAMESPACE });
    const each: Case = { signature, signers: line, principal };
    expect([ours(each), theirs(each)]).toEqual([kind === "allowed", kind === "allowed"]);
  });
});

function publicPart(publicKey: KeyObject): Buffer {
  const { x = "", y } = publicKey.export({ format: "jwk" });
  const parts = [x, y ?? ""].map((part) => Buffer.from(part, "base64url"));
  if (y === undefined) return sshString(Buffer.concat(parts));
  const point = Buffer.concat([Buffer.of(4), ...parts]);
  return Buffer.concat([sshString("nistp256"), sshString(point)]);
}

function deviceSignature(
  key: Buffer,
  { type, privateKey, flags }: { type: string; privateKey: KeyObject; flags: number },
): string {
  const digest = (data: Buffer | string): Buffer => createHash("sha256").update(data).digest();
  const head = [sshString(APPROVAL_NAMESPACE), sshString(""), sshString("sha256")];
  const inner = Buffer.concat([Buffer.from("SSHSIG"), ...head, sshString(digest(TEXT))]);
  const after = Buffer.concat([Buffer.of(flags), sshUint32(7)]);
  const signed = Buffer.concat([digest("ssh:"), after, digest(inner)]);
  const raw =
    privateKey.asymmetricKeyType === "ed25519"
      ? rawSign(null, signed, privateKey)
      : mpints(rawSign("sha256", signed, { key: privateKey, dsaEncoding: "ieee-p1363" }));
  return armored(key, Buffer.concat([sshString(type), sshString(raw), after]), "sha256");
}

function armored(key: Buffer, signature: Buffer, hash = "sha512"): string {
  const head = [APPROVAL_NAMESPACE, "", hash].map((part) => sshString(part));
  const blob = Buffer.concat([
    ...[Buffer.from("SSHSIG"), sshUint32(1), sshString(key), ...head],
    sshString(signature),
  ]);
  return `-----BEGIN SSH SIGNATURE-----\n${blob.toString("base64")}\n-----END SSH SIGNATURE-----\n`;
}

function mpints(raw: Buffer): Buffer {
  const halves = [raw.subarray(0, 32), raw.subarray(32)];
  return Buffer.concat(
    halves.map((half) => {
      const bytes = Buffer.from(half.toString("hex").replace(/^(?:00)+/, ""), "hex");
      const needsSign = (bytes[0] ?? 0) >= 0x80;
      return sshString(needsSign ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
    }),
  );
}
