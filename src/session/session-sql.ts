import type { Classification } from "../sql/classification.ts";
import { decodeSql } from "../sql/decode.ts";
import { advance, CAUTIOUS_SESSION, expectPrepared, type SqlSession } from "../sql/session.ts";
import type { Judged } from "./judged.ts";
import type { SessionFunctions } from "./session-functions.ts";
import { textEncoding, type TextEncoding } from "./text-encoding.ts";

/**
 * What one session's statements have done so far to how its next ones read. Only what makes things worse is remembered,
 * from the moment it is sent: a name that ever stood for something harmful keeps doing so. What would make things
 * better (this table is temporary, that name is free again) depends on more than the proxy sees: search_path, roles,
 * functions, rollbacks.
 */
export class SessionSql {
  #session: SqlSession = CAUTIOUS_SESSION;
  #encoding: TextEncoding = "utf-8";
  readonly #functions: SessionFunctions | undefined;

  /** @param functions - `undefined` where no function is trusted */
  constructor(functions?: SessionFunctions) {
    this.#functions = functions;
  }

  get session(): SqlSession {
    return this.#session;
  }

  /**
   * @returns `undefined` for bytes that can't be read for certain: invalid ones, and in any other encoding than UTF-8
   *   whatever is not ASCII, as the same bytes are other names in another session
   */
  decode(text: Buffer): string | undefined {
    if (this.#encoding === "utf-8" || isAscii(text)) return decodeSql(text);
    return undefined;
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

  /** A statement is on its way. */
  sent({ worsens, mayChangeFunctions }: Judged): void {
    if (mayChangeFunctions) this.#functions?.changing();
    if (worsens.length > 0) this.#session = advance(this.#session, worsens);
  }

  /** All that was sent is answered, and no transaction is open. */
  settled(): void {
    this.#functions?.settled();
  }
}

function isAscii(text: Buffer): boolean {
  for (const byte of text) if (byte >= 0x80) return false;
  return true;
}
