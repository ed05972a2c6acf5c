import { SQLSTATE } from "../base/errors.ts";
import { encodeErrorResponse } from "../wire/encode-backend.ts";
import {
  encodeRefusedCopy,
  encodeRefusedParse,
  encodeRefusedQuery,
  RefusalTokens,
} from "../wire/encode-refusal.ts";
import type { Refusal } from "./refusal.ts";

/** Refusals on their way: sent as messages that must fail, awaited as the errors that come back. */
export class SwappedRefusals {
  readonly #tokens = new RefusalTokens();
  readonly #refusals = new Map<string, Refusal>();
  #interruption: Refusal | undefined;
  #hasInterrupted = false;

  /** A sentence that every refusal ends in. */
  readonly #reminder: string | undefined;

  constructor(reminder?: string) {
    this.#reminder = reminder;
  }

  /** A message stood in a COPY that can't; the server ends such a session, as it can't tell where the next one begins. */
  get hasInterruptedCopy(): boolean {
    return this.#hasInterrupted;
  }

  /** The message that takes the place of a refused `Query` or `FunctionCall`. */
  asQuery(refusal: Refusal): Buffer {
    return encodeRefusedQuery(this.#remember(refusal));
  }

  /**
   * The message that takes the place of a refused one of the extended protocol.
   *
   * @param statement - the name, if it was a `Parse`
   */
  asParse(refusal: Refusal, statement: string | undefined): Buffer {
    return encodeRefusedParse(this.#remember(refusal), statement);
  }

  /** Ends a COPY, if one is under way, in front of a message that can't be in it. */
  asCopyFail(refusal: Refusal): Buffer {
    this.#interruption = refusal;
    return encodeRefusedCopy(this.#remember(refusal));
  }

  /** @returns the refusal that an ErrorResponse's body stands for, once, and what to send instead */
  answered(body: Buffer): { readonly refusal: Refusal; readonly message: Buffer } | undefined {
    if (this.#refusals.size === 0) return undefined;
    const token = this.#tokens.find(body);
    const refusal = token === undefined ? undefined : this.#refusals.get(token);
    if (token === undefined || refusal === undefined) return undefined;
    this.#refusals.delete(token);
    if (refusal === this.#interruption) this.#hasInterrupted = true;
    const told = { severity: "ERROR", ...refusal, ...this.#reminded(refusal) } as const;
    return { refusal, message: encodeErrorResponse(told) };
  }

  /** Nothing is outstanding: those that are left stood behind an error in their pipeline, and were skipped. */
  forgetUnanswered(): void {
    if (this.#refusals.size > 0) this.#refusals.clear();
  }

  #reminded({ sqlstate, detail }: Refusal): Pick<Refusal, "detail"> {
    if (this.#reminder === undefined || sqlstate !== SQLSTATE.insufficientPrivilege) return {};
    return { detail: [detail, this.#reminder].filter(Boolean).join(" ") };
  }

  #remember(refusal: Refusal): string {
    const token = this.#tokens.next();
    this.#refusals.set(token, refusal);
    return token;
  }
}
