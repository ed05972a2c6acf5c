import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadPublicKey, openSigningKey } from "../../src/store/audit-file-key.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-key-"));
  file = path.join(directory, "key.pem");
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

describe("openSigningKey", () => {
  it("makes a key that only its owner can read, once, and its public half", () => {
    const key = openSigningKey(file);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect(openSigningKey(file).equals(key)).toBe(true);
    const signature = sign(null, Buffer.from("x"), key);
    expect(verify(null, Buffer.from("x"), loadPublicKey(`${file}.pub`), signature)).toBe(true);
  });

  it("writes the public half that belongs to the key", () => {
    const key = openSigningKey(file);
    openSigningKey(path.join(directory, "other.pem"));
    fs.copyFileSync(path.join(directory, "other.pem.pub"), `${file}.pub`);
    openSigningKey(file);
    expect(loadPublicKey(`${file}.pub`).equals(createPublicKey(key))).toBe(true);
  });

  it("refuses one that others can read", () => {
    openSigningKey(file);
    fs.chmodSync(file, 0o640);
    expect(() => openSigningKey(file)).toThrow("others than its owner may read it");
  });

  it.each([
    ["no key", "nothing"],
    ["a key of another kind", pem("rsa")],
  ])("refuses %s", (_, content) => {
    fs.writeFileSync(file, content, { mode: 0o600 });
    expect(() => openSigningKey(file)).toThrow(`audit signing key "${file}" can't be used`);
  });
});

describe("loadPublicKey", () => {
  it("refuses a key of another kind", () => {
    fs.writeFileSync(file, createPublicKey(pem("rsa")).export({ type: "spki", format: "pem" }));
    expect(() => loadPublicKey(file)).toThrow("not an Ed25519 key");
  });
});

function pem(type: "rsa"): string {
  const { privateKey } = generateKeyPairSync(type, { modulusLength: 1024 });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}
