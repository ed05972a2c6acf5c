import { assertNever } from "../base/assert-never.ts";
import { formatInstant, type Instant } from "./instant.ts";
import { Malformed } from "./malformed.ts";
import { matchesPatternList } from "./pattern.ts";
import {
  isSameKey,
  parsePublicKeyFields,
  type SshCertificate,
  type SshPublicKey,
} from "./ssh-key.ts";

/**
 * OpenSSH's registry of who signs with which key (ssh-keygen(1), "ALLOWED SIGNERS"). A line:
 *
 *     principals [options] keytype base64-key [comment]
 *
 * where options are `namespaces="…"`, `valid-after="…"`, `valid-before="…"` and `cert-authority`: the key is then no
 * signer's, but certifies those whose certificates name the principal too.
 */
export interface AllowedSigners {
  readonly signers: readonly AllowedSigner[];
}

interface AllowedSigner {
  readonly line: number;
  /** Patterns, comma-separated. */
  readonly principals: string;
  readonly isAuthority: boolean;
  readonly namespaces: string | undefined;
  readonly validAfter: Instant | undefined;
  readonly validBefore: Instant | undefined;
  readonly key: SshPublicKey;
}

export type SignerMatch =
  | { readonly kind: "allowed"; readonly line: number }
  | { readonly kind: "unknown_key" }
  | { readonly kind: "other_principal" }
  | { readonly kind: "other_namespace" }
  | { readonly kind: "not_yet_valid"; readonly validAfter: Instant }
  | { readonly kind: "no_longer_valid"; readonly validBefore: Instant };

/** @throws Malformed that names every line with a mistake, not only the first */
export function parseAllowedSigners(text: string): AllowedSigners {
  const signers: AllowedSigner[] = [];
  const mistakes: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    try {
      const signer = parseLine(line, index + 1);
      if (signer !== undefined) signers.push(signer);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      mistakes.push(`line ${index + 1}: ${error.message}`);
    }
  }
  if (mistakes.length > 0) {
    throw new Malformed(`allowed signers have mistakes: ${mistakes.join("; ")}`);
  }
  return { signers };
}

/**
 * May `key` sign as `principal`? One line that says yes is enough; where none does, the answer is of the line
 * that came nearest to it.
 */
export function matchSigner(
  { signers }: AllowedSigners,
  { key, principal, namespace, at }: Asking,
): SignerMatch {
  let nearest: SignerMatch = { kind: "unknown_key" };
  for (const signer of signers) {
    if (!isOfLine(signer, key)) continue;
    const match = matchLine(signer, { key, principal, namespace, at });
    if (match.kind === "allowed") return match;
    if (nearness(match) > nearness(nearest)) nearest = match;
  }
  return nearest;
}

/**
 * Does any line or certificate, valid or not by now, give `key` to `principal`? The question that must never err
 * towards no.
 */
export function isKeyOf(
  { signers }: AllowedSigners,
  { key, principal }: { readonly key: SshPublicKey; readonly principal: string },
): boolean {
  return (
    key.certificate?.principals.includes(principal) === true ||
    signers.some(
      (signer) =>
        !signer.isAuthority &&
        isSameKey(signer.key, key) &&
        matchesPatternList(principal, signer.principals),
    )
  );
}

function isOfLine({ isAuthority, key: known }: AllowedSigner, key: SshPublicKey): boolean {
  const { certificate } = key;
  if (certificate === undefined) return !isAuthority && isSameKey(known, key);
  return isAuthority && isSameKey(known, certificate.authority);
}

interface Asking {
  readonly key: SshPublicKey;
  readonly principal: string;
  readonly namespace: string;
  readonly at: Instant;
}

function matchLine(signer: AllowedSigner, { key, principal, namespace, at }: Asking): SignerMatch {
  const { line, principals, namespaces, validAfter, validBefore } = signer;
  const { certificate } = key;
  if (!matchesPatternList(principal, principals)) return { kind: "other_principal" };
  if (certificate !== undefined) {
    const because = whyNotCertified(certificate, { principal, at });
    if (because !== undefined) return because;
  }
  if (namespaces !== undefined && !matchesPatternList(namespace, namespaces)) {
    return { kind: "other_namespace" };
  }
  if (validAfter !== undefined && at < validAfter) return { kind: "not_yet_valid", validAfter };
  if (validBefore !== undefined && at > validBefore) {
    return { kind: "no_longer_valid", validBefore };
  }
  return { kind: "allowed", line };
}

/** A certificate names its principals literally, and ends just before its `validBefore`. */
function whyNotCertified(
  { principals, validAfter, validBefore }: SshCertificate,
  { principal, at }: Pick<Asking, "principal" | "at">,
): SignerMatch | undefined {
  if (!principals.includes(principal)) return { kind: "other_principal" };
  if (validAfter !== undefined && at < validAfter) return { kind: "not_yet_valid", validAfter };
  if (validBefore !== undefined && at >= validBefore) {
    return { kind: "no_longer_valid", validBefore };
  }
  return undefined;
}

function nearness(match: SignerMatch): number {
  switch (match.kind) {
    case "unknown_key":
      return 0;
    case "other_principal":
      return 1;
    case "other_namespace":
      return 2;
    case "not_yet_valid":
    case "no_longer_valid":
      return 3;
    case "allowed":
      return 4;
    default:
      return assertNever(match);
  }
}

function parseLine(line: string, number: number): AllowedSigner | undefined {
  const text = line.replace(/^[ \t]+/, "");
  if (text === "" || text.startsWith("#")) return undefined;
  const { word: principals, rest } = takeWord(text);
  if (principals === "") throw new Malformed("no principals");
  const fields = splitOptions(rest);
  const options = parseOptions(fields.options);
  const [type, base64] = fields.key.split(/[ \t]+/);
  if (type === undefined || base64 === undefined) throw new Malformed("no public key");
  return { line: number, principals, ...options, key: parsePublicKeyFields(type, base64) };
}

/** The first field; in double quotes it may hold blanks. */
function takeWord(text: string): { readonly word: string; readonly rest: string } {
  const quoted = /^"([^"]*)"(?:[ \t]+|$)/.exec(text);
  const match = quoted ?? /^([^ \t"]*)(?:[ \t]+|$)/.exec(text);
  if (match === null) throw new Malformed("quotes in the principals don't match");
  return { word: match[1] ?? "", rest: text.slice(match[0].length) };
}

/** As OpenSSH does: where the text begins with a key, there are no options; else they end at a blank outside quotes. */
function splitOptions(text: string): { readonly options: string; readonly key: string } {
  if (/^(?:ssh|ecdsa|sk|webauthn)-[^ \t="]+[ \t]/.test(text)) return { options: "", key: text };
  const options = /^(?:[^ \t"]|"(?:[^"\\]|\\.)*")+/.exec(text)?.[0] ?? "";
  const rest = text.slice(options.length);
  if (rest !== "" && !/^[ \t]/.test(rest)) throw new Malformed("quotes in the options don't match");
  return { options, key: rest.replace(/^[ \t]+/, "") };
}

type Options = Pick<AllowedSigner, "isAuthority" | "namespaces" | "validAfter" | "validBefore">;

function parseOptions(text: string): Options {
  const values = new Map<string, string>();
  let rest = text;
  while (rest !== "") {
    const match = /^([a-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,(?=.)|$)/i.exec(rest);
    if (match === null) throw new Malformed("options are not as in ssh-keygen(1)");
    const name = (match[1] ?? "").toLowerCase();
    if (values.has(name)) throw new Malformed(`option ${name} is given twice`);
    values.set(name, checkOption(name, match[2]));
    rest = rest.slice(match[0].length);
  }
  const validAfter = parseTime(values.get("valid-after"));
  const validBefore = parseTime(values.get("valid-before"));
  if (validAfter !== undefined && validBefore !== undefined && validBefore <= validAfter) {
    throw new Malformed("valid-before is not after valid-after");
  }
  const isAuthority = values.has("cert-authority");
  return { isAuthority, namespaces: values.get("namespaces"), validAfter, validBefore };
}

function checkOption(name: string, value: string | undefined): string {
  switch (name) {
    case "cert-authority":
      if (value !== undefined) throw new Malformed("option cert-authority takes no value");
      return "";
    case "namespaces":
    case "valid-after":
    case "valid-before":
      if (value === undefined) throw new Malformed(`option ${name} needs a value in double quotes`);
      return value.replaceAll('\\"', '"');
    default:
      throw new Malformed(`option ${name} is unknown`);
  }
}

/** `YYYYMMDD` or `YYYYMMDDHHMM[SS]`; without a `Z` behind it in the system's own time zone, as OpenSSH reads it. */
function parseTime(text: string | undefined): Instant | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z?)$/i.exec(text);
  if (match === null) throw new Malformed("time is not YYYYMMDD[HHMM[SS]][Z]");
  const [, year, month, day, hour = "00", minute = "00", second = "00", zone = ""] = match;
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const at = new Date(`${local}${zone.toUpperCase()}`);
  // A 30th of February does not come back as it went in.
  const utc = new Date(`${local}Z`);
  if (Number.isNaN(utc.getTime()) || formatInstant(utc) !== `${local}Z`) {
    throw new Malformed("time does not exist");
  }
  return formatInstant(at);
}
