import type { Classification } from "../sql/classification.ts";
import { decodeSql } from "../sql/decode.ts";
import {
  advance,
  expectPrepared,
  NEW_SESSION,
  settle,
  unsettled,
  type SqlSession,
} from "../sql/session.ts";
import type { TransactionStatus } from "../wire/message-types.ts";
import type { Outcome } from "../wire/protocol-state.ts";
import { textEncoding, type TextEncoding } from "./text-encoding.ts";

/** What one session's statements have done so far to how its next ones read, by the server's answers. */
export class SessionSql {
  #session: SqlSession = NEW_SESSION;
  #encoding: TextEncoding = "utf-8";
  #outstanding = 0;
  #hasFailed = false;

  /** As it is safe to judge by now, with answers outstanding or not. */
  get session(): SqlSession {
    return this.#outstanding === 0 ? this.#session : unsettled(this.#session);
  }

  /** @returns `undefined` for bytes that the session's `client_encoding` does not have */
  decode(text: Buffer): string | undefined {
    return this.#encoding === "utf-8" ? decodeSql(text) : text.toString("latin1");
  }

  /** A text that takes another's place, as bytes of the session's `client_encoding`. */
  encode(text: Buffer): Buffer {
    return this.#encoding === "utf-8" ? text : Buffer.from(text.toString("utf8"), "latin1");
  }

  /** @returns `false` for an encoding that can't be followed */
  useEncoding(clientEncoding: string): boolean {
    const encoding = textEncoding(clientEncoding);
    if (encoding !== undefined) this.#encoding = encoding;
    return encoding !== undefined;
  }

  /** A named `Parse` is on its way: SQL's EXECUTE can run what it prepares. */
  parsed(name: string, classification: Classification): void {
    if (name === "" || classification.kind === "unparsed") return;
    const { destructive, mustRefuse } = classification;
    if (!destructive && !mustRefuse) return;
    const sqlName = Buffer.from(name, "latin1").toString("utf8");
    this.#session = expectPrepared(this.#session, sqlName, { destructive, mustRefuse });
  }

  sent(): void {
    this.#outstanding += 1;
  }

  finished(classification: Classification, outcome: Outcome): void {
    this.#outstanding -= 1;
    if (classification.kind === "unparsed") return;
    switch (outcome.kind) {
      case "completed":
      case "suspended":
        for (const { changes } of classification.statements) {
          if (changes.length > 0) this.#session = advance(this.#session, changes);
        }
        return;
      case "failed":
        this.#hasFailed = true;
        // Nobody tells which of a batch's statements had been committed by then.
        if (classification.statements.some(({ changes }) => changes.length > 0)) {
          this.#session = advance(this.#session, [{ kind: "temporary_in_doubt" }]);
        }
        return;
      case "skipped":
        return;
    }
  }

  ready(status: TransactionStatus): void {
    const failed = this.#hasFailed;
    this.#hasFailed = false;
    this.#session = settle(this.#session, { status, failed });
  }
}
