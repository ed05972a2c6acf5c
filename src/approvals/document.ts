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
 * The approval document, version 1: what an approver signs. One JSON object in canonical form (RFC 8785: members
 * sorted, no blanks, UTF-8, no newline at the end), so that one approval is one string of bytes. Those bytes are
 * signed with SSHSIG in the namespace `approval@twokey`; nothing else is needed to check them years later.
 *
 *     type         "twokey-approval"
 *     version      1
 *     request      number of the request that this answers: "R-" and six digits of Crockford's base 32
 *     requester    name of the person or workload who may run the statements
 *     submitter    (optional) name of the person who asked in the requester's name, as for a workload
 *     approver     name of the person who signs: the principal in allowed_signers, never requester or submitter
 *     statements   list of 1 to 1000, to be run in this order, each:
 *       sql          the exact text, as it is sent to the server
 *       sha256       SHA-256 of the text's UTF-8 bytes in lower-case hex (for `sha256sum`; the text decides)
 *       parameters   "none", "any" (only where the rule allows), or the list of values bound to $1, $2, …, each:
 *                    {oid, text} | {oid, hex} | {oid, null: true}, or for long ones {oid, format, bytes, sha256}
 *     database     name of the database
 *     environment  name of the environment
 *     upstream     name of the server behind Twokey
 *     rule         the policy rule that asked for the approval
 *     uses         how many times the whole list may be run, at most 10000
 *     validity     {from, until}: RFC 3339, UTC, whole seconds; from ≤ now < until
 *     reason       the approver's own words; may be empty where the rule asks for none
 *     nonce        32 hex digits, so that no two approvals are ever the same
 *     impact       (optional) an object: what the approver was shown about the consequences
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
  readonly version: 1;
  readonly request: RequestId;
  readonly requester: string;
  readonly submitter?: string;
  readonly approver: string;
  readonly statements: readonly ApprovedStatement[];
  readonly database: string;
  readonly environment: string;
  readonly upstream: string;
  readonly rule: string;
  readonly uses: number;
  readonly validity: { readonly from: Instant; readonly until: Instant };
  readonly reason: string;
  readonly nonce: string;
  readonly impact?: Readonly<Record<string, Json>>;
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

/** @throws Malformed if the document breaks a limit or rule of its format, so that nobody signs what nobody accepts */
export function encodeApprovalDocument(document: ApprovalDocument): string {
  const text = canonicalJson(document as unknown as Json);
  parseApprovalDocument(text);
  return text;
}

/** @throws Malformed unless `text` is exactly what {@link encodeApprovalDocument} makes of some document */
export function parseApprovalDocument(text: string): ApprovalDocument {
  const value = parseCanonicalJson(text, { maxBytes: MAX_DOCUMENT_BYTES });
  const members = readMembers(value, "document", { required: REQUIRED, optional: OPTIONAL });
  if (members.type !== "twokey-approval") throw new Malformed("not an approval document");
  if (members.version !== 1) throw new Malformed("approval document of an unknown version");
  return {
    type: "twokey-approval",
    version: 1,
    request: readRequestId(members.request),
    requester: readName(members.requester, "requester"),
    ...(members.submitter === undefined
      ? {}
      : { submitter: readName(members.submitter, "submitter") }),
    approver: readName(members.approver, "approver"),
    statements: parseApprovedStatements(members.statements),
    database: readName(members.database, "database"),
    environment: readName(members.environment, "environment"),
    upstream: readName(members.upstream, "upstream"),
    rule: readName(members.rule, "rule"),
    uses: readInteger(members.uses, "uses", { min: 1, max: MAX_USES }),
    validity: readValidity(members.validity),
    reason: readText(members.reason, "reason", { maxCharacters: MAX_REASON_CHARACTERS }),
    nonce: readNonce(members.nonce),
    ...(members.impact === undefined ? {} : { impact: readImpact(members.impact) }),
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

const OPTIONAL = ["submitter", "impact"] as const;

export function approvedStatement(sql: string, parameters: ParameterTerms): ApprovedStatement {
  return { sql, sha256: sha256(sql), parameters };
}

/** @throws Malformed unless each element has its text's own SHA-256 and nothing besides */
export function parseApprovedStatements(value: Json | undefined): readonly ApprovedStatement[] {
  return readList(value, "statements", { min: 1, max: MAX_STATEMENTS }).map((element, index) => {
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

function readImpact(value: Json): Readonly<Record<string, Json>> {
  if (!isObject(value)) throw new Malformed("impact is not an object");
  return value;
}
