import { canonicalJson, type Json } from "../base/canonical-json.ts";
import { sha256, type Sha256 } from "../base/digest.ts";
import { parseParameterTerms, readSha256, type ParameterTerms } from "./bound-parameters.ts";
import { parseInstant, type Instant } from "./instant.ts";
import { Malformed } from "./malformed.ts";
import { parseRequestId, type RequestId } from "./request-id.ts";
import {
  isObject,
  parseCanonicalJson,
  readInteger,
  readList,
  readMembers,
  readName,
  readText,
} from "./strict-json.ts";

/**
 * The approval document, version 2: what an approver signs. One JSON object in canonical form (RFC 8785: members
 * sorted, no blanks, UTF-8, no newline at the end), so that one approval is one string of bytes. Those bytes are
 * signed with SSHSIG in the namespace `approval@twokey`; nothing else is needed to check them years later.
 *
 *     type         "twokey-approval"
 *     version      2; documents of version 1, which lack the members marked (2), stay good
 *     request      number of the request that this answers: "R-" and six digits of Crockford's base 32
 *     requester    name of the person or workload who may run the statements
 *     submitter    (optional) name of the person who asked in the requester's name, as for a workload
 *     approver     name of the person who signs: the principal in allowed_signers, never requester or submitter
 *     act          (2, optional) what the signature is, where it is no approval by a second person: "break_glass", by the
 *                  requester alone, or "review", by a second person after the glass was broken, which lets nothing run
 *     statements   list of 1 to 1000, to be run in this order (empty where access is asked for instead), each:
 *       sql          the exact text, as it is sent to the server
 *       sha256       SHA-256 of the text's UTF-8 bytes in lower-case hex (for `sha256sum`; the text decides)
 *       parameters   "none", "any" (only where the rule allows), or the list of values bound to $1, $2, …, each:
 *                    {oid, text} | {oid, hex} | {oid, null: true}, or for long ones {oid, format, bytes, sha256}
 *     access       (2, optional) {role, seconds}: instead of statements, a role that the requester has for so long
 *     recycle      (2, optional) {keep_seconds}: what the statement drops is not dropped but moved aside, and kept so long
 *     database     name of the database
 *     environment  name of the environment
 *     upstream     name of the server behind Twokey
 *     rule         the policy rule that asked for the approval
 *     uses         how many times the whole list may be run, at most 10000
 *     validity     {from, until}: RFC 3339, UTC, whole seconds; from ≤ now < until
 *     reason       the approver's own words; may be empty where the rule asks for none
 *     nonce        32 hex digits, so that no two approvals are ever the same
 *     impact       (optional) an object: what was measured on the server and shown of the consequences (`impact.ts`)
 *     context      (2, optional) an object: what else was shown: {client, roles, recent}, `recent` being the statements
 *                  that the session had run before, each {at, sql}
 *
 * The whole is at most 1 MiB, nested at most 16 deep, names have at most 256 characters. Unknown members are refused.
 *
 * To check one by hand, with its bytes in `approval.json` and the signature in `approval.sig`:
 *
 *     ssh-keygen -Y verify -f allowed_signers -I bob -n approval@twokey -s approval.sig < approval.json
 *
 * An example: one line, broken here where you see it broken. Its SHA-256 is
 * b57a98337b8a3f370a16a6f6ec3455d05975ce211cdfc91f2c073bd3d1206a61.
 *
 *     {"approver":"bob","database":"shop","environment":"production",
 *     "nonce":"00112233445566778899aabbccddeeff","reason":"moved to shop2, see OPS-1187",
 *     "request":"R-7F3K2M","requester":"alice","rule":"destructive-needs-two",
 *     "statements":[{"parameters":"none",
 *     "sha256":"95789389d6920d7a30b945f23975ac22db85ab77a4d99ada51e29e4984008f3a",
 *     "sql":"DROP DATABASE \"shop\""}],"type":"twokey-approval","upstream":"production","uses":1,
 *     "validity":{"from":"2026-11-23T17:00:00Z","until":"2026-11-23T18:00:00Z"},"version":1}
 */
export interface ApprovalDocument {
  readonly type: "twokey-approval";
  readonly version: 1 | 2;
  readonly request: RequestId;
  readonly requester: string;
  readonly submitter?: string;
  readonly approver: string;
  readonly act?: "break_glass" | "review";
  readonly statements: readonly ApprovedStatement[];
  readonly access?: ApprovedAccess;
  readonly recycle?: { readonly keep_seconds: number };
  readonly database: string;
  readonly environment: string;
  readonly upstream: string;
  readonly rule: string;
  readonly uses: number;
  readonly validity: { readonly from: Instant; readonly until: Instant };
  readonly reason: string;
  readonly nonce: string;
  readonly impact?: Readonly<Record<string, Json>>;
  readonly context?: Readonly<Record<string, Json>>;
}

/** A role of Twokey's that somebody has for a while. */
export interface ApprovedAccess {
  readonly role: string;
  readonly seconds: number;
}

export interface ApprovedStatement {
  readonly sql: string;
  readonly sha256: Sha256;
  readonly parameters: ParameterTerms;
}

export const MAX_DOCUMENT_BYTES = 1_048_576;
const MAX_STATEMENTS = 1000;
const MAX_REASON_CHARACTERS = 2000;
const MAX_USES = 10_000;
const MAX_SECONDS = 10 * 366 * 24 * 3600;

/** @throws Malformed if the document breaks a limit or rule of its format, so that nobody signs what nobody accepts */
export function encodeApprovalDocument(document: ApprovalDocument): string {
  const text = canonicalJson(document as unknown as Json);
  parseApprovalDocument(text);
  return text;
}

/** @throws Malformed unless `text` is exactly what {@link encodeApprovalDocument} makes of some document */
export function parseApprovalDocument(text: string): ApprovalDocument {
  const value = parseCanonicalJson(text, { maxBytes: MAX_DOCUMENT_BYTES });
  const version = isObject(value) ? value["version"] : undefined;
  const optional = version === 1 ? OPTIONAL_IN_1 : OPTIONAL;
  const members = readMembers(value, "document", { required: REQUIRED, optional });
  if (members.type !== "twokey-approval") throw new Malformed("not an approval document");
  if (version !== 1 && version !== 2) {
    throw new Malformed("approval document of an unknown version");
  }
  const access = readOptional(members.access, readAccess);
  return {
    type: "twokey-approval",
    version,
    request: readRequestId(members.request),
    requester: readName(members.requester, "requester"),
    ...present("submitter", members.submitter, (name) => readName(name, "submitter")),
    approver: readName(members.approver, "approver"),
    ...present("act", members.act, readAct),
    statements: parseApprovedStatements(members.statements, { isEmpty: access !== undefined }),
    ...present("access", access, (read) => read),
    ...present("recycle", members.recycle, readRecycle),
    database: readName(members.database, "database"),
    environment: readName(members.environment, "environment"),
    upstream: readName(members.upstream, "upstream"),
    rule: readName(members.rule, "rule"),
    uses: readInteger(members.uses, "uses", { min: 1, max: MAX_USES }),
    validity: readValidity(members.validity),
    reason: readText(members.reason, "reason", { maxCharacters: MAX_REASON_CHARACTERS }),
    nonce: readNonce(members.nonce),
    ...present("impact", members.impact, (impact) => readObject(impact, "impact")),
    ...present("context", members.context, (context) => readObject(context, "context")),
  };
}

const REQUIRED = [
  "type",
  "version",
  "request",
  "requester",
  "approver",
  "statements",
  "database",
  "environment",
  "upstream",
  "rule",
  "uses",
  "validity",
  "reason",
  "nonce",
] as const;

const OPTIONAL = ["submitter", "impact", "act", "access", "recycle", "context"] as const;
const OPTIONAL_IN_1: readonly (typeof OPTIONAL)[number][] = ["submitter", "impact"];

/** A member, where there is one. */
function present<Name extends string, From, To>(
  name: Name,
  value: From | undefined,
  read: (value: From) => To,
): Partial<Record<Name, To>> {
  return value === undefined ? {} : ({ [name]: read(value) } as Record<Name, To>);
}

function readOptional<To>(value: Json | undefined, read: (value: Json) => To): To | undefined {
  return value === undefined ? undefined : read(value);
}

export function approvedStatement(sql: string, parameters: ParameterTerms): ApprovedStatement {
  return { sql, sha256: sha256(sql), parameters };
}

/** @throws Malformed unless each element has its text's own SHA-256 and nothing besides */
function parseApprovedStatements(
  value: Json | undefined,
  { isEmpty }: { readonly isEmpty: boolean },
): readonly ApprovedStatement[] {
  const count = isEmpty ? { min: 0, max: 0 } : { min: 1, max: MAX_STATEMENTS };
  return readList(value, "statements", count).map((element, index) => {
    const at = `statements[${index}]`;
    const members = readMembers(element, at, { required: ["sql", "sha256", "parameters"] });
    const sql = readText(members.sql, `${at}.sql`, { maxCharacters: MAX_DOCUMENT_BYTES });
    const digest = readSha256(members.sha256, `${at}.sha256`);
    if (digest !== sha256(sql)) throw new Malformed(`${at}.sha256 belongs to another text`);
    return {
      sql,
      sha256: digest,
      parameters: parseParameterTerms(members.parameters, `${at}.parameters`),
    };
  });
}

function readRequestId(value: Json): RequestId {
  const text = readText(value, "request", { maxCharacters: 8 });
  const id = parseRequestId(text);
  if (id !== text) throw new Malformed("request is not spelled as numbers of requests are");
  return id;
}

function readValidity(value: Json): ApprovalDocument["validity"] {
  const members = readMembers(value, "validity", { required: ["from", "until"] });
  const from = parseInstant(readText(members.from, "validity.from", { maxCharacters: 20 }));
  const until = parseInstant(readText(members.until, "validity.until", { maxCharacters: 20 }));
  if (from >= until) throw new Malformed("validity ends before it begins");
  return { from, until };
}

function readNonce(value: Json): string {
  const nonce = readText(value, "nonce", { maxCharacters: 32 });
  if (!/^[0-9a-f]{32}$/.test(nonce)) throw new Malformed("nonce is not 32 hex digits");
  return nonce;
}

function readAct(value: Json): "break_glass" | "review" {
  if (value !== "break_glass" && value !== "review") throw new Malformed("act is unknown");
  return value;
}

function readAccess(value: Json): ApprovedAccess {
  const members = readMembers(value, "access", { required: ["role", "seconds"] });
  return {
    role: readName(members.role, "access.role"),
    seconds: readSeconds(members.seconds, "access.seconds"),
  };
}

function readRecycle(value: Json): { readonly keep_seconds: number } {
  const members = readMembers(value, "recycle", { required: ["keep_seconds"] });
  return { keep_seconds: readSeconds(members.keep_seconds, "recycle.keep_seconds") };
}

function readSeconds(value: Json, at: string): number {
  return readInteger(value, at, { min: 1, max: MAX_SECONDS });
}

function readObject(value: Json, at: string): Readonly<Record<string, Json>> {
  if (!isObject(value)) throw new Malformed(`${at} is not an object`);
  return value;
}
