import { ProtocolViolation } from "../base/errors.ts";
import {
  decodeBind,
  decodeEmpty,
  decodeExecute,
  decodeFunctionCall,
  decodeObject,
  decodeParse,
  decodeQuery,
  type ExecuteMessage,
  type ObjectMessage,
  type ParseMessage,
} from "../wire/decode-frontend.ts";
import { encodeParse, encodeQuery, encodeSync } from "../wire/encode-refusal.ts";
import type { CopyIn } from "../wire/copy-in.ts";
import type { FrontendFramer } from "../wire/framer.ts";
import { FRONTEND } from "../wire/message-types.ts";
import type { ProtocolState } from "../wire/protocol-state.ts";
import { DuringCopy } from "./during-copy.ts";
import type { FrontendFlow } from "./frontend-flow.ts";
import type { Gate } from "./gate.ts";
import type { Judged, Subject } from "./judged.ts";
import { largeObjectCall } from "./large-object-calls.ts";
import { tooManyNames, unknownName, unsettledReading, type Refusal } from "./refusal.ts";
import type { Execution } from "./session-recorder.ts";
import type { SessionSql } from "./session-sql.ts";
import type { SwappedRefusals } from "./swapped-refusals.ts";
import { readsAlikeEverywhere } from "./text-encoding.ts";

export interface ForwardPathOptions {
  readonly gate: Gate;
  readonly sql: SessionSql;
  readonly state: ProtocolState<Subject, Execution>;
  readonly refusals: SwappedRefusals;
  /** Prepared statements and portals that one session may have. */
  readonly maxNamedObjects: number;
  readonly countCopied: (bytes: number) => void;
  readonly onTerminate: () => void;
}

// More than the answers that a server keeps to itself until Sync (8 KiB of them), so that waiting for one always ends.
const MAX_UNANSWERED = 10_000;

/** Frontend to upstream: what each message asks for, what the gate says to it, and what is sent. */
export class ForwardPath {
  readonly #options: ForwardPathOptions;
  readonly #flow: FrontendFlow;
  readonly #duringCopy: DuringCopy;
  /** Refused in the extended protocol: what follows is dropped up to the next Sync, as the server does after an error. */
  #isDropping = false;
  /** Something was sent that may change how the server reads text, and its answer is not there yet. */
  #reading: "known" | "unknown in this group" | "unknown until answered" = "known";
  #whenAnswered: (() => void) | undefined;

  constructor(flow: FrontendFlow, options: ForwardPathOptions) {
    this.#flow = flow;
    this.#options = options;
    this.#duringCopy = new DuringCopy({
      flow,
      refusals: options.refusals,
      waitForAnswer: (again) => {
        this.#waitForAnswer(again);
      },
    });
  }

  /** Answers have come: whoever waited for one looks again. */
  answersCame(): void {
    for (let left = this.#options.state.releaseSyncs(); left > 0; left--) {
      this.#flow.write(encodeSync());
      this.#sentSync();
    }
    const next = this.#whenAnswered;
    if (next === undefined) return;
    this.#whenAnswered = undefined;
    this.#flow.goOn(next);
  }

  take(framer: FrontendFramer): void {
    const { type } = framer;
    const { state } = this.#options;
    if (state.unanswered >= MAX_UNANSWERED) {
      this.#takeLater(framer);
      return;
    }
    const isIgnored = this.#isDropping || state.isSkipping;
    if (isIgnored && type !== FRONTEND.Sync && type !== FRONTEND.Terminate) return;
    if (state.copyIn !== undefined && !this.#mayPassInCopy(state.copyIn, framer)) return;
    try {
      this.#take(framer);
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#refuseMalformed(type, { sqlstate: error.sqlstate, message: error.message });
    }
  }

  #takeLater(framer: FrontendFramer): void {
    this.#waitForAnswer(() => {
      this.take(framer);
    });
  }

  #mayPassInCopy(copyIn: CopyIn, framer: FrontendFramer): boolean {
    return this.#duringCopy.mayPass(copyIn, framer, () => {
      this.take(framer);
    });
  }

  #take(framer: FrontendFramer): void {
    const { type, buffer, bodyStart, end } = framer;
    switch (type) {
      case FRONTEND.Query:
        this.#query(decodeQuery(buffer, bodyStart, end).text);
        return;
      case FRONTEND.Parse:
        this.#parse(decodeParse(buffer, bodyStart, end));
        return;
      case FRONTEND.Bind:
        this.#bind(framer);
        return;
      case FRONTEND.Execute:
        this.#execute(decodeExecute(buffer, bodyStart, end));
        return;
      case FRONTEND.Describe:
        this.#describe(decodeObject("Describe", buffer, bodyStart, end));
        return;
      case FRONTEND.Close:
        this.#close(decodeObject("Close", buffer, bodyStart, end));
        return;
      case FRONTEND.FunctionCall:
        this.#functionCall(decodeFunctionCall(buffer, bodyStart, end).functionOid);
        return;
      case FRONTEND.Sync:
        decodeEmpty("Sync", buffer, bodyStart, end);
        this.#sync();
        return;
      case FRONTEND.Flush:
        decodeEmpty("Flush", buffer, bodyStart, end);
        this.#flow.pass();
        return;
      case FRONTEND.CopyData:
        this.#options.countCopied(end - bodyStart);
        this.#flow.pass();
        return;
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
        this.#options.state.sentCopyEnd();
        this.#flow.pass();
        return;
      case FRONTEND.Terminate:
        this.#flow.flush();
        this.#options.onTerminate();
        return;
      default:
        throw new Error(`the framer let message type ${type} pass`);
    }
  }

  #query(text: Buffer): void {
    const { gate, state, sql } = this.#options;
    const refuse = (refusal: Refusal): void => {
      this.#refuseQuery(refusal);
    };
    const again = (): void => {
      this.#query(text);
    };
    if (this.#waitsForReading(text, { again, refuse })) return;
    this.#read(text, refuse, (judged) => {
      this.#flow.then(gate.permitRun(judged.subject), (verdict) => {
        if (verdict.kind === "refuse") {
          refuse(verdict.refusal);
          return;
        }
        if (judged.rewritten === undefined) this.#flow.pass();
        else this.#flow.write(encodeQuery(judged.rewritten));
        state.sentQuery(verdict.execution, judged.copiesIn);
        sql.sent(judged);
        if (judged.mayChangeLexing) this.#reading = "unknown until answered";
      });
    });
  }

  #parse({ statement, text, parameterTypes }: ParseMessage): void {
    const { gate, state, sql } = this.#options;
    const refuse = (refusal: Refusal): void => {
      this.#refuseExtended(refusal, statement);
    };
    const again = (): void => {
      this.#parse({ statement, text, parameterTypes });
    };
    if (this.#waitsForReading(text, { again, refuse })) return;
    if (!this.#hasRoomFor("statement", statement)) return;
    this.#read(text, refuse, (judged) => {
      const subject = gate.prepared(judged, parameterTypes);
      this.#flow.then(gate.permitParse(subject), (verdict) => {
        if (verdict.kind === "refuse") {
          refuse(verdict.refusal);
          return;
        }
        if (judged.rewritten === undefined) this.#flow.pass();
        else this.#flow.write(encodeParse(statement, judged.rewritten, parameterTypes));
        state.sentParse(statement, subject);
        sql.parsed(statement, judged.classification);
      });
    });
  }

  #bind(framer: FrontendFramer): void {
    const { gate, state } = this.#options;
    const { buffer, bodyStart, end } = framer;
    const { portal, statement } = decodeBind(buffer, bodyStart, end);
    const again = (): void => {
      this.#bind(framer);
    };
    const subject = this.#named({ kind: "statement", name: statement }, again);
    if (subject === undefined || !this.#hasRoomFor("portal", portal)) return;
    const bound = gate.bound(subject, buffer.subarray(bodyStart, end));
    this.#flow.then(gate.permitBind(bound), (verdict) => {
      if (verdict.kind === "refuse") {
        this.#refuseExtended(verdict.refusal, undefined);
        return;
      }
      this.#flow.pass();
      state.sentBind(portal, bound, verdict.execution);
      this.#noteReading(bound.judged);
    });
  }

  #execute({ portal, maxRows }: ExecuteMessage): void {
    const { gate, state, sql } = this.#options;
    const again = (): void => {
      this.#execute({ portal, maxRows });
    };
    const subject = this.#named({ kind: "portal", name: portal }, again);
    if (subject === undefined) return;
    this.#flow.then(gate.permitRun(subject), (verdict) => {
      if (verdict.kind === "refuse") {
        this.#refuseExtended(verdict.refusal, undefined);
        return;
      }
      this.#flow.pass();
      const { execution } = verdict;
      const sent = maxRows > 0 ? { ...execution, maxRows } : execution;
      state.sentExecute(sent, subject.judged.copiesIn);
      sql.sent(subject.judged);
      this.#noteReading(subject.judged);
    });
  }

  #describe(object: ObjectMessage): void {
    const again = (): void => {
      this.#describe(object);
    };
    if (this.#named(object, again) !== undefined) this.#flow.pass();
  }

  #close({ kind, name }: ObjectMessage): void {
    this.#flow.pass();
    this.#options.state.sentClose(kind, name);
  }

  #functionCall(functionOid: number): void {
    const { gate, state } = this.#options;
    const refuse = (refusal: Refusal): void => {
      this.#refuseQuery(refusal);
    };
    const text = largeObjectCall(functionOid);
    if (text === undefined) {
      refuse(gate.refuseFunctionCall(functionOid));
      return;
    }
    this.#read(text, refuse, (judged) => {
      // A signature has to bind the arguments, and these have no types that could be shown to whoever signs.
      if (judged.decision.action === "require_approval") {
        refuse(gate.refuseFunctionCall(functionOid));
        return;
      }
      this.#flow.then(gate.permitRun(judged.subject), (verdict) => {
        if (verdict.kind === "refuse") {
          refuse(verdict.refusal);
          return;
        }
        this.#flow.pass();
        state.sentFunctionCall(verdict.execution);
        this.#reading = "unknown until answered";
      });
    });
  }

  #sync(): void {
    this.#flow.pass();
    this.#sentSync();
  }

  #sentSync(): void {
    this.#isDropping = false;
    this.#options.state.sentSync();
    if (this.#reading === "unknown in this group") this.#reading = "unknown until answered";
  }

  // --- what messages lean on ----------------------------------------------------------------------------

  #read(text: Buffer, refuse: (refusal: Refusal) => void, next: (judged: Judged) => void): void {
    this.#flow.then(this.#options.gate.read(text), (read) => {
      if ("sqlstate" in read) refuse(read);
      else next(read);
    });
  }

  /** Looks a name up; an unknown one is refused here, one that is not settled is asked for again by `again`. */
  #named({ kind, name }: ObjectMessage, again: () => void): Subject | undefined {
    const { state } = this.#options;
    const lookup = kind === "statement" ? state.statement(name) : state.portal(name);
    switch (lookup.kind) {
      case "found":
        return lookup.value;
      case "unsettled":
        this.#waitForAnswer(again);
        return undefined;
      case "unknown":
        this.#refuseExtended(unknownName(kind, name), undefined);
        return undefined;
    }
  }

  #noteReading(judged: Judged): void {
    if (judged.mayChangeLexing) this.#reading = "unknown in this group";
  }

  /**
   * Nothing is judged ahead of the answer to what may have changed the server's reading, as its report would come too
   * late; unless the text reads alike in any case.
   */
  #waitsForReading(
    text: Buffer,
    { again, refuse }: { again: () => void; refuse: (refusal: Refusal) => void },
  ): boolean {
    if (this.#reading === "known") return false;
    if (this.#reading === "unknown until answered" && this.#options.state.isSettled) {
      this.#reading = "known";
      return false;
    }
    if (readsAlikeEverywhere(text)) return false;
    if (this.#reading === "unknown in this group") refuse(unsettledReading());
    else this.#waitForAnswer(again);
    return true;
  }

  #waitForAnswer(again: () => void): void {
    this.#flow.flush();
    this.#flow.stop();
    this.#whenAnswered = again;
  }

  /** Refuses what would make one name too many. */
  #hasRoomFor(kind: "statement" | "portal", name: string): boolean {
    const { state, maxNamedObjects } = this.#options;
    if (state.hasRoomFor(kind, name)) return true;
    this.#refuseExtended(tooManyNames(maxNamedObjects), undefined);
    return false;
  }

  #refuseQuery(refusal: Refusal): void {
    this.#flow.write(this.#options.refusals.asQuery(refusal));
    this.#options.state.sentQuery(undefined);
  }

  /** The framing holds, so that the session goes on, as the server's does. */
  #refuseMalformed(type: number, refusal: Refusal): void {
    if (type === FRONTEND.Query || type === FRONTEND.FunctionCall) {
      this.#refuseQuery(refusal);
      return;
    }
    // The server takes a malformed message for no Parse of that name.
    this.#refuseExtended(refusal, undefined);
    if (type !== FRONTEND.Sync) return;
    this.#flow.write(encodeSync());
    this.#sentSync();
  }

  #refuseExtended(refusal: Refusal, statement: string | undefined): void {
    this.#flow.write(this.#options.refusals.asParse(refusal, statement));
    this.#options.state.sentRefusal(statement);
    this.#isDropping = true;
  }
}
