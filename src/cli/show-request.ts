import type { RequestView } from "../admin/request-views.ts";
import type { ApprovalDocument, ApprovedStatement } from "../approvals/document.ts";
import type { BoundParameter, ParameterTerms } from "../approvals/bound-parameters.ts";
import { isObject } from "../approvals/strict-json.ts";
import type { Json } from "../base/canonical-json.ts";
import { effectsInWords } from "./effect-words.ts";
import { highlightSql } from "./highlight-sql.ts";
import { describeImpact } from "./show-impact.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

type Colors = Terminal["colors"];

/**
 * A request as a person reads it.
 *
 * @param impact - as it was measured just now
 */
export function describeRequest(
  request: RequestView,
  colors: Colors,
  impact?: Readonly<Record<string, Json>>,
): string[] {
  return [
    heading(request, colors),
    "",
    ...facts([
      ["state", stateOf(request)],
      ["requester", requesterOf(request)],
      ...submitterOf(request),
      ["where", placeOf(request)],
      ...whyOf(request),
      ...roleOf(request.access),
      ["may sign", request.approvers.join(", ")],
      ["asked", `${request.created_at}${times(request.times_asked)}`],
    ]),
    "",
    ...statementLines(request.statements, colors),
    ...recentLines(request.recent),
    ...(impact === undefined ? [] : ["", ...describeImpact(impact, colors)]),
    ...request.approvals.flatMap((approval) => [
      "",
      ...facts([
        [SIGNED[approval.act], approval.approver],
        ["valid", `${howOften(approval.uses)}, until ${approval.valid_until}`],
        ...(approval.reason === "" ? [] : [["reason", approval.reason] as const]),
      ]),
    ]),
    ...reviewLines(request),
  ];
}

const SIGNED = {
  approval: "signed by",
  break_glass: "alone",
  review: "reviewed by",
} as const satisfies Record<RequestView["approvals"][number]["act"], string>;

function reviewLines({ id, review }: RequestView): string[] {
  switch (review?.state) {
    case undefined:
      return [];
    case "open":
      return [
        "",
        ...facts([["review", `open since ${review.since}: twokey approve ${id} --review`]]),
      ];
    case "signed": {
      const { approver, reason } = review.signed;
      return [
        "",
        ...facts([
          [SIGNED.review, `${approver}, ${review.at}`],
          ...(reason === "" ? [] : [["found", reason] as const]),
        ]),
      ];
    }
  }
}

/**
 * What the approver is about to sign. Everything that binds is read out of the document itself, so that nothing can be
 * signed that wasn't shown; only who asks, from where, and what it does, is the server's word.
 */
export function describeApproval(
  document: ApprovalDocument,
  request: RequestView,
  colors: Colors,
): string[] {
  const { validity } = document;
  const minutes = Math.round((Date.parse(validity.until) - Date.parse(validity.from)) / 6000) / 10;
  return [
    heading({ ...request, id: document.request }, colors),
    "",
    ...facts([
      ["requester", requesterOf({ ...request, requester: document.requester })],
      ...submitterOf(document),
      ["where", placeOf(document)],
      ...whyOf({ ...request, rule: document.rule }),
      ...roleOf(document.access),
      ["signatures", `${request.signatures} of ${request.signatures_needed}`],
    ]),
    "",
    ...statementLines(document.statements, colors),
    "",
    ...facts([
      ["you sign as", document.approver],
      ["valid", `${howOften(document.uses)}, for ${minutes} minutes, until ${validity.until}`],
      ...(document.reason === "" ? [] : [["your reason", document.reason] as const]),
      ...(document.recycle === undefined
        ? []
        : [["instead", `moved aside, kept for ${days(document.recycle.keep_seconds)}`] as const]),
    ]),
    ...recentLines(recentIn(document.context)),
    ...(document.impact === undefined ? [] : ["", ...describeImpact(document.impact, colors)]),
  ];
}

function days(seconds: number): string {
  return seconds < 172_800
    ? `${Math.round(seconds / 360) / 10} hours`
    : `${Math.round(seconds / 8640) / 10} days`;
}

interface Recent {
  readonly at: string;
  readonly sql: string;
}

/** What the session had run, as the document says. */
function recentIn(context: ApprovalDocument["context"]): readonly Recent[] {
  const recent: Json | undefined = context?.["recent"];
  if (!Array.isArray(recent)) return [];
  return (recent as readonly Json[]).flatMap((one) => {
    if (!isObject(one)) return [];
    const { at, sql } = one;
    return typeof at === "string" && typeof sql === "string" ? [{ at, sql }] : [];
  });
}

function recentLines(recent: readonly Recent[]): string[] {
  if (recent.length === 0) return [];
  return [
    "",
    ...recent.map(({ at, sql }, index) => {
      const name = index === 0 ? "ran before" : "";
      return `  ${name.padEnd(12)} ${visibleLine(at.slice(11, 19))}  ${visibleLine(sql)}`;
    }),
  ];
}

/** Where a role is asked for, and no statement. */
function roleOf(access: RequestView["access"]): readonly Fact[] {
  if (access === undefined) return [];
  const minutes = Math.round(access.seconds / 6) / 10;
  return [["role", `${access.role}, for ${minutes} minutes from the last signature on`]];
}

function heading({ id, summary }: Pick<RequestView, "id" | "summary">, colors: Colors): string {
  return `${colors.bold(visibleLine(id))}  ${colors.red(visibleLine(summary))}`;
}

type Fact = readonly [name: string, value: string];

function facts(list: readonly Fact[]): string[] {
  return list.map(([name, value]) => `  ${name.padEnd(12)} ${visibleLine(value)}`);
}

function requesterOf({
  requester,
  roles,
  client,
}: Pick<RequestView, "requester" | "roles" | "client">): string {
  return `${requester} (${roles.join(", ")}) from ${client}`;
}

function submitterOf({ submitter }: { readonly submitter?: string | undefined }): Fact[] {
  return submitter === undefined ? [] : [["asked by", submitter]];
}

function placeOf({
  database,
  environment,
  upstream,
}: Pick<RequestView, "database" | "environment" | "upstream">): string {
  return `database ${database} in ${environment}, on upstream ${upstream}`;
}

function whyOf({
  rule,
  effects,
  reason,
}: Pick<RequestView, "rule" | "effects" | "reason">): Fact[] {
  return [
    ["rule", rule],
    ["effect", effectsInWords(effects)],
    ...(reason === "" ? [] : [["their reason", reason] as const]),
  ];
}

function stateOf({
  state,
  closed,
  signatures,
  signatures_needed,
  expires_at,
}: RequestView): string {
  if (closed === undefined) {
    return `${state}, ${signatures} of ${signatures_needed} signatures, until ${expires_at}`;
  }
  const by = closed.by === undefined ? "" : ` by ${closed.by}`;
  const why = closed.reason === undefined ? "" : `: ${closed.reason}`;
  return `${state}${by} at ${closed.at}${why}`;
}

function times(count: number): string {
  return count === 1 ? "" : `, ${count} times`;
}

function howOften(uses: number): string {
  return uses === 1 ? "once" : `${uses} times`;
}

type StatementView = Omit<ApprovedStatement, "sha256" | "parameters"> & {
  readonly parameters: RequestView["statements"][number]["parameters"] | ParameterTerms;
};

/** Exactly the text: a bar before each of its lines, so that none of them can pass for ours. */
function statementLines(statements: readonly StatementView[], colors: Colors): string[] {
  return statements.flatMap(({ sql, parameters }, index) => {
    const lines = highlightSql(sql, colors);
    const many = statements.length > 1;
    const size = lines.length > 20 ? `${lines.length} lines, ` : "";
    return [
      ...(many || size !== ""
        ? [
            `  statement ${index + 1} of ${statements.length} (${size}${Buffer.byteLength(sql)} bytes)`,
          ]
        : []),
      ...lines.map((line) => `  ${colors.dim("│")} ${line}`),
      ...parameterLines(parameters),
    ];
  });
}

function parameterLines(parameters: StatementView["parameters"]): string[] {
  if (parameters === "none") return [];
  if (parameters === "any") return ["  with whatever is bound to its parameters"];
  return (parameters as readonly BoundParameter[]).map(
    (parameter, index) => `  $${index + 1} = ${visibleLine(valueOf(parameter))}`,
  );
}

function valueOf(parameter: BoundParameter): string {
  const type = parameter.oid === 0 ? "" : ` (type ${parameter.oid})`;
  if ("null" in parameter) return `NULL${type}`;
  if ("text" in parameter) return `${JSON.stringify(parameter.text)}${type}`;
  if ("hex" in parameter) return `\\x${parameter.hex}${type}`;
  return `${parameter.bytes} bytes of ${parameter.format}, SHA-256 ${parameter.sha256}${type}`;
}
