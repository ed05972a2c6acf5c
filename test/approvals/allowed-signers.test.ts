import { describe, expect, it } from "vitest";
import { isKeyOf, matchSigner, parseAllowedSigners } from "../../src/approvals/allowed-signers.ts";
import { parseInstant } from "../../src/approvals/instant.ts";
import { matchesPatternList } from "../../src/approvals/pattern.ts";
import { isRevoked, parseRevokedKeys } from "../../src/approvals/revoked-keys.ts";
import { fingerprint, formatPublicKey } from "../../src/approvals/ssh-key.ts";
import { APPROVAL_NAMESPACE } from "../../src/approvals/sshsig.ts";
import { ALICE, BOB } from "./people.ts";
import { SIGNER_LINES } from "./signer-lines.ts";

const KEY = formatPublicKey(BOB.publicKey);

function match(file: string, { principal = "bob", at = "2026-11-23T17:00:00Z" } = {}): string {
  return matchSigner(parseAllowedSigners(file), {
    key: BOB.publicKey,
    principal,
    namespace: APPROVAL_NAMESPACE,
    at: parseInstant(at),
  }).kind;
}

describe("allowed signers", () => {
  it.each(SIGNER_LINES)("%s  for %s: %s", (line, principal, kind) => {
    expect(match(line, { principal })).toBe(kind);
  });

  it("reads times without Z as the system's own", () => {
    const [year, day] = ["2026", "1123"];
    const local = new Date(Number(year), 10, 23, 12, 0, 0);
    const before = new Date(local.getTime() - 1000).toISOString().replace(".000", "");
    const file = `bob valid-after="${year}${day}1200" ${KEY}`;
    expect(match(file, { at: before })).toBe("not_yet_valid");
    expect(match(file, { at: local.toISOString().replace(".000", "") })).toBe("allowed");
  });

  it("says of whom a key is without regard to time and namespace", () => {
    const file = `alice,bob valid-before="20200101Z",namespaces="git" ${KEY}`;
    const signers = parseAllowedSigners(file);
    expect(isKeyOf(signers, { key: BOB.publicKey, principal: "alice" })).toBe(true);
    expect(isKeyOf(signers, { key: ALICE.publicKey, principal: "alice" })).toBe(false);
    expect(isKeyOf(signers, { key: BOB.publicKey, principal: "carol" })).toBe(false);
  });

  it("names every line with a mistake", () => {
    const file = ["bob", `bob ${KEY}`, "", `bob cert-authority="x" ${KEY}`, "carol ssh-dss AAAA"];
    expect(() => parseAllowedSigners(file.join("\n"))).toThrow(/line 1: .*line 4: .*line 5: /);
  });

  it.each([
    ["an option nobody knows", `bob zone="eu" ${KEY}`, "option zone is unknown"],
    ["a value without quotes", `bob namespaces=git ${KEY}`, "options are not as"],
    ["an option without its value", `bob namespaces ${KEY}`, "needs a value"],
    ["an option twice", `bob namespaces="a",namespaces="b" ${KEY}`, "given twice"],
    ["a comma too many", `bob namespaces="a", ${KEY}`, "options are not as"],
    ["a quote that never ends", `bob namespaces="a ${KEY}`, "quotes"],
    ["quotes in the principals", `"bob ${KEY}`, "quotes"],
    ["nobody", `"" ${KEY}`, "no principals"],
    ["a 30th of February", `bob valid-after="20260230Z" ${KEY}`, "does not exist"],
    ["a time with dashes", `bob valid-after="2026-02-03" ${KEY}`, "is not YYYYMMDD"],
    [
      "times the wrong way round",
      `bob valid-after="20260203Z",valid-before="20260202Z" ${KEY}`,
      "not after",
    ],
    ["an authority with a value", `* cert-authority="x" ${KEY}`, "takes no value"],
    ["a certificate", "bob ssh-ed25519-cert-v01@openssh.com AAAA", "name its authority"],
    ["a damaged key", `bob ${KEY.slice(0, -4)}`, "ends too early"],
  ])("refuses %s", (_, line, message) => {
    expect(() => parseAllowedSigners(line)).toThrow(message);
  });
});

describe("pattern lists", () => {
  it.each([
    ["", "", true],
    ["abc", "a*c", true],
    ["abc", "a**c", true],
    ["abc", "*", true],
    ["abc", "a?c?", false],
    ["abcabc", "*abc", true],
    ["a".repeat(200), `${"*a".repeat(100)}b`, false],
    ["a*c", "a*c", true],
    ["abc", "x,!y", false],
    ["abc", "abc,!abc", false],
  ])("%s against %s: %s", (text, patterns, expected) => {
    expect(matchesPatternList(text, patterns)).toBe(expected);
  });
});

describe("revoked keys", () => {
  it.each([
    ["the key itself", KEY],
    ["the key with its comment", `  ${KEY} bob@lost-laptop`],
    ["its fingerprint", fingerprint(BOB.publicKey)],
    ["its fingerprint, as in a KRL specification", `sha256: ${fingerprint(BOB.publicKey)} lost`],
  ])("are known by %s", (_, entry) => {
    const revoked = parseRevokedKeys(`# lost\n\n${entry}\n`);
    expect(isRevoked(revoked, BOB.publicKey)).toBe(true);
    expect(isRevoked(revoked, ALICE.publicKey)).toBe(false);
  });

  it("are refused as a whole when a line can't be read, or the file is binary", () => {
    expect(() => parseRevokedKeys(`${KEY}\nSHA256:short`)).toThrow("line 2: ");
    expect(() => parseRevokedKeys("SSHKRL\n\0")).toThrow("revocation list ends too early");
  });
});
