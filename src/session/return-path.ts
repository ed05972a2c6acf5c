import type { Socket } from "node:net";
import { ConnectionRefused, SQLSTATE } from "../base/errors.ts";
import type { UpstreamConnection } from "../upstream/connection.ts";
import { BackendScanner, type BackendSink } from "../wire/backend-scanner.ts";
import { decodeParameterStatus, decodeReadyForQuery } from "../wire/decode-backend.ts";
import { isFatal, sqlstateOf } from "../wire/error-fields.ts";
import { BACKEND, type TransactionStatus } from "../wire/message-types.ts";
import type { ProtocolState } from "../wire/protocol-state.ts";

import { synchronizationLost } from "./during-copy.ts";
import type { Subject } from "./judged.ts";
import type { Execution } from "./session-recorder.ts";
import type { SessionSql } from "./session-sql.ts";
import type { SwappedRefusals } from "./swapped-refusals.ts";

export interface ReturnPathOptions {
  readonly frontend: Socket;
  readonly upstream: UpstreamConnection;
  readonly state: ProtocolState<Subject, Execution>;
  readonly sql: SessionSql;
  readonly refusals: SwappedRefusals;
  readonly countBytes: (bytes: number) => void;
  /** One statement is done; the state does not know yet. */
  readonly onTag: (tag: string) => void;
  readonly onReady: (status: TransactionStatus) => void;
}

/** Upstream to frontend: bytes go on as they came, but for errors that stand for a refusal. */
export class ReturnPath implements BackendSink {
  readonly #options: ReturnPathOptions;
  readonly #scanner = new BackendScanner(this);
  #hasSaidWhy = false;

  constructor(options: ReturnPathOptions) {
    this.#options = options;
  }

  /** A message of ours may stand here. */
  get isBetweenMessages(): boolean {
    return this.#scanner.isBetweenMessages;
  }

  /** The server has told the frontend itself why it closes the connection. */
  get hasSaidWhy(): boolean {
    return this.#hasSaidWhy;
  }

  /** Bytes of the server's answers up to the end of the last one that says how a statement went. */
  get answeredBytes(): number {
    return this.#scanner.answeredBytes;
  }

  receive(view: Buffer): void {
    this.#options.countBytes(view.length);
    this.#scanner.scan(view);
  }

  forward(bytes: Buffer): void {
    const { frontend, upstream } = this.#options;
    const hasRoom = frontend.write(bytes);
    // What the operating system did not take at once is still read from this very memory.
    if (frontend.writableLength > 0) upstream.keepChunk();
    if (!hasRoom) upstream.pause();
  }

  backendMessage(type: number, bytes: Buffer, start: number, end: number): Buffer | undefined {
    const { state, refusals, onReady, onTag } = this.#options;
    switch (type) {
      case BACKEND.ParseComplete:
        state.parseComplete();
        return undefined;
      case BACKEND.BindComplete:
        state.bindComplete();
        return undefined;
      case BACKEND.CloseComplete:
        state.closeComplete();
        return undefined;
      case BACKEND.CommandComplete: {
        const tag = bytes.toString("latin1", start, end - 1);
        onTag(tag);
        state.commandComplete(tag);
        return undefined;
      }
      case BACKEND.EmptyQueryResponse:
        state.commandComplete("");
        return undefined;
      case BACKEND.PortalSuspended:
        state.portalSuspended();
        return undefined;
      case BACKEND.CopyInResponse:
        state.copyInResponse();
        return undefined;
      case BACKEND.ReadyForQuery:
        if (refusals.hasInterruptedCopy) throw synchronizationLost();
        state.readyForQuery(decodeReadyForQuery(bytes, start, end));
        if (state.isSettled) refusals.forgetUnanswered();
        onReady(state.transactionStatus);
        return undefined;
      case BACKEND.ParameterStatus:
        this.#parameterStatus(decodeParameterStatus(bytes.subarray(start, end)));
        return undefined;
      case BACKEND.ErrorResponse:
        return this.#errorResponse(bytes.subarray(start, end));
      default:
        return undefined;
    }
  }

  /** The server reads text differently from now on, by whatever route: what can't be followed ends the session. */
  #parameterStatus({ name, value }: { readonly name: string; readonly value: string }): void {
    if (name === "standard_conforming_strings" && value !== "on") {
      throw new ConnectionRefused(
        SQLSTATE.featureNotSupported,
        "twokey: standard_conforming_strings was turned off, so statements can't be read as the server reads them",
      );
    }
    if (name === "client_encoding" && !this.#options.sql.useEncoding(value)) {
      throw new ConnectionRefused(
        SQLSTATE.featureNotSupported,
        `twokey: statements in the client encoding ${value} can't be read safely`,
      );
    }
  }

  #errorResponse(body: Buffer): Buffer | undefined {
    const { refusals, state } = this.#options;
    this.#hasSaidWhy = isFatal(body);
    const swapped = refusals.answered(body);
    state.errorResponse(swapped?.refusal.sqlstate ?? sqlstateOf(body));
    return swapped?.message;
  }
}
