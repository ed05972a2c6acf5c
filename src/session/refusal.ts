import { SQLSTATE, type Sqlstate, type TwokeyError } from "../base/errors.ts";
import type { Request } from "../approvals/request.ts";
import type { Decision } from "../policy/decision.ts";
import type { Classification, UnparsedClassification } from "../sql/classification.ts";
import { summaryOf } from "../sql/summary-of.ts";
import { encodeNoticeResponse } from "../wire/encode-backend.ts";

/** What a frontend is told instead of an answer: what was refused, by which rule, where, and the way out. */
export interface Refusal {
  readonly sqlstate: Sqlstate;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly position?: number | undefined;
}

type Blocked = Extract<Decision, { action: "block" }>;
type NeedsApproval = Extract<Decision, { action: "require_approval" }>;

export function blockedRefusal(decision: Blocked, classification: Classification): Refusal {
  if (classification.kind === "unparsed") return unparsedRefusal(decision, classification);
  const { rule, environment, statement, message, hint } = decision;
  return {
    sqlstate: SQLSTATE.insufficientPrivilege,
    message: `twokey: ${summaryOf(classification, statement)} is refused in ${environment}`,
    detail: `Rule "${rule}"${message === undefined ? "" : `: ${message}`}.`,
    hint: hint === undefined ? undefined : sentence(hint),
  };
}

/** Of a statement that runs once somebody has signed; `request` is where they sign. */
export function unsignedRefusal(
  decision: NeedsApproval,
  {
    classification,
    request,
    freeze,
    mayGoAlone,
  }: {
    classification: Classification;
    request: Request;
    /** The freeze that holds now, if one does. */
    freeze: string | undefined;
    /** The requester is one of those who may break the glass. */
    mayGoAlone: boolean;
  },
): Refusal {
  const { rule, environment, statement, terms, message, hint } = decision;
  const signers = terms.approvers.join(" or ");
  const missing = terms.signatures - request.approvals.length;
  const waits =
    missing > 0
      ? `waits for ${missing} signature${missing === 1 ? "" : "s"} by ${signers}`
      : "has been signed meanwhile";
  const needs = terms.signatures === 1 ? "a second person" : `${terms.signatures} other people`;
  return {
    sqlstate: SQLSTATE.insufficientPrivilege,
    message: `twokey: ${summaryOf(classification, statement)} needs ${needs} in ${environment}`,
    detail:
      `Rule "${rule}"${message === undefined ? "" : `: ${message}`}. ` +
      `Request ${request.id} ${waits}.` +
      (freeze === undefined ? "" : ` Nothing is approved during the freeze "${freeze}".`),
    hint:
      `${sentence(hint ?? `Ask ${signers} to run: twokey approve ${request.id}`)}\n` +
      "Once it is signed, run exactly the same statement again." +
      (mayGoAlone
        ? `\nIf it can't wait, you may go alone: twokey approve ${request.id} --break-glass`
        : ""),
  };
}

/** Nobody could sign for values that Twokey has not seen. */
export function boundTooEarly({ rule, environment }: NeedsApproval): Refusal {
  return {
    sqlstate: SQLSTATE.insufficientPrivilege,
    message: `twokey: a portal bound before it needed a second person is refused in ${environment}`,
    detail: `Rule "${rule}" asks for a second person since.`,
    hint: "Bind its values again.",
  };
}

export function tooManyRequestsRefusal(decision: NeedsApproval, open: number): Refusal {
  return {
    sqlstate: SQLSTATE.insufficientPrivilege,
    message: `twokey: you have ${open} open requests in ${decision.environment}, and no more can be opened`,
    detail: `Rule "${decision.rule}" asks for a second person.`,
    hint: "Have them signed, or cancel some: twokey request list, twokey request cancel",
  };
}

/** What EXECUTE runs stands somewhere else, so a signature for it would bind nothing. */
export function byNameRefusal({ rule, environment }: NeedsApproval): Refusal {
  return {
    sqlstate: SQLSTATE.insufficientPrivilege,
    message: `twokey: what EXECUTE would run can't be signed for in ${environment}`,
    detail: `Rule "${rule}" asks for a second person, who would sign for a name.`,
    hint: "Run the statement itself, with its values, instead of the prepared one.",
  };
}

/** Nobody would read it, so nobody shall sign it. */
export function tooLongToSign(
  decision: NeedsApproval,
  { classification, maxBytes }: { classification: Classification; maxBytes: number },
): Refusal {
  return {
    sqlstate: SQLSTATE.programLimitExceeded,
    message: `twokey: ${summaryOf(classification, decision.statement)} is too long for anybody to sign`,
    detail: `Rule "${decision.rule}" asks for a second person, who would have to read more than ${maxBytes} bytes.`,
    hint: "Send it in smaller pieces, or load the rows with COPY.",
  };
}

/** What can't be decided or recorded does not run. */
export function undecidedRefusal({ sqlstate, message, detail, hint }: TwokeyError): Refusal {
  return { sqlstate, message: `twokey: the statement was not run: ${message}`, detail, hint };
}

/** The request was rejected, cancelled or has expired while the statement waited for it. */
export function closedRefusal(
  decision: NeedsApproval,
  { classification, request }: { classification: Classification; request: Request },
): Refusal {
  const { state, id } = request;
  const why =
    state.kind === "rejected" ? `was rejected by ${state.by}: ${state.reason}` : `is ${state.kind}`;
  return {
    sqlstate: SQLSTATE.insufficientPrivilege,
    message: `twokey: ${summaryOf(classification, decision.statement)} is refused in ${decision.environment}`,
    detail: `Rule "${decision.rule}". Request ${id} ${why}.`,
  };
}

/** As the server says it of a statement that was running. */
export function canceledRefusal(): Refusal {
  return { sqlstate: SQLSTATE.queryCanceled, message: "canceling statement due to user request" };
}

/** What a frontend is told whose statement waits. */
export function waitingNotice(
  decision: NeedsApproval,
  { classification, request }: { classification: Classification; request: Request },
): Buffer {
  const { rule, environment, statement, terms } = decision;
  const signers = terms.approvers.join(" or ");
  return encodeNoticeResponse({
    severity: "NOTICE",
    sqlstate: SQLSTATE.successfulCompletion,
    message: `twokey: ${summaryOf(classification, statement)} waits for a second person in ${environment}`,
    detail: `Rule "${rule}". Request ${request.id} can be signed by ${signers}.`,
    hint: `Ask ${signers} to run: twokey approve ${request.id}
It waits for ${terms.holdSeconds} s, then it is refused; cancel it to stop waiting.`,
  });
}

export function undecodableRefusal(): Refusal {
  return {
    sqlstate: SQLSTATE.characterNotInRepertoire,
    message: "twokey: the statement's bytes can't be read for certain in its client_encoding",
    hint: "Statements outside ASCII are read in UTF-8 only: SET client_encoding TO 'UTF8', and send that.",
  };
}

export function unknownName(kind: "statement" | "portal", name: string): Refusal {
  // Names are kept a character a byte; shown as the UTF-8 that they nearly always are.
  const shown = Buffer.from(name, "latin1").toString("utf8");
  return kind === "statement"
    ? {
        sqlstate: SQLSTATE.invalidSqlStatementName,
        message:
          shown === ""
            ? "unnamed prepared statement does not exist"
            : `prepared statement "${shown}" does not exist`,
      }
    : { sqlstate: SQLSTATE.invalidCursorName, message: `portal "${shown}" does not exist` };
}

/** A text that can't be judged ahead of the answer to what stands before it, and no answer will come before `Sync`. */
export function unsettledReading(): Refusal {
  return {
    sqlstate: SQLSTATE.featureNotSupported,
    message:
      "twokey: a statement stands behind one that may change how text is read, in the same pipeline",
    hint: "Send Sync in between, or write it in plain ASCII without backslashes.",
  };
}

/** As the server says it. */
export function notInCopyRefusal(messageType: number): Refusal {
  const type = messageType.toString(16).toUpperCase().padStart(2, "0");
  return {
    sqlstate: SQLSTATE.protocolViolation,
    message: `unexpected message type 0x${type} during COPY from stdin`,
  };
}

export function tooManyNames(maxNames: number): Refusal {
  return {
    sqlstate: SQLSTATE.programLimitExceeded,
    message: `twokey: more than ${maxNames} prepared statements and portals in one session`,
    hint: "Close statements that are no longer used, or raise limits.named_objects.",
  };
}

export function functionCallRefusal(functionOid: number, environment: string): Refusal {
  return {
    sqlstate: SQLSTATE.insufficientPrivilege,
    message: `twokey: a FunctionCall message (function ${functionOid}) is refused in ${environment}`,
    detail: "It runs a function without a text that could be judged.",
    hint: "Call the function in a SELECT instead.",
  };
}

const UNPARSED_SQLSTATE = {
  syntax: SQLSTATE.syntaxError,
  too_large: SQLSTATE.programLimitExceeded,
  too_deep: SQLSTATE.statementTooComplex,
  timed_out: SQLSTATE.programLimitExceeded,
  failed: SQLSTATE.insufficientPrivilege,
} as const satisfies Record<UnparsedClassification["cause"], Sqlstate>;

// A syntax error reads as the server's own would: it is the same grammar's.
function unparsedRefusal(
  { hint }: Blocked,
  { cause, message, position }: UnparsedClassification,
): Refusal {
  return cause === "syntax"
    ? { sqlstate: SQLSTATE.syntaxError, message, position }
    : {
        sqlstate: UNPARSED_SQLSTATE[cause],
        message: `twokey: ${message}`,
        hint: hint === undefined ? undefined : sentence(hint),
      };
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?:`]$|approve R-\S+$/.test(upper) ? upper : `${upper}.`;
}
