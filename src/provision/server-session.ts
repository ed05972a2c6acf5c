import type { z } from "zod";
import { parseSqlstate, ProtocolViolation, SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import type { UpstreamLink } from "../upstream/connect.ts";
import type { UpstreamListener } from "../upstream/connection.ts";
import { UpstreamRefused } from "../upstream/startup-messages.ts";
import { decodeResponse } from "../wire/decode-backend.ts";
import { encodeTerminate } from "../wire/encode-frontend.ts";
import { BACKEND, FRONTEND, HEADER_BYTES } from "../wire/message-types.ts";

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

interface Pending {
  readonly values: string[];
  error: UpstreamRefused | undefined;
  readonly done: (error: Error | undefined) => void;
}

/** Statements of our own, over the same kind of connection that sessions have: one at a time, as simple queries. */
export class ServerSession implements UpstreamListener {
  readonly #link: UpstreamLink;
  #received = Buffer.alloc(0);
  #pending: Pending | undefined;
  #end: Error | undefined;

  constructor(link: UpstreamLink) {
    this.#link = link;
    link.connection.listen(this);
  }

  /**
   * Runs one statement or several, which then are one transaction.
   *
   * @throws UpstreamRefused with the server's own words; UpstreamUnavailable when the connection is lost, where
   *   nobody can tell whether they ran
   */
  async run(sql: string): Promise<void> {
    await this.#values(sql);
  }

  /** @throws as `run`; and an error of zod's when the rows are not what they should be */
  async rows<T>(query: string, row: z.ZodType<T>): Promise<readonly T[]> {
    const values = await this.#values(`SELECT row_to_json(q)::text FROM (${query}) AS q`);
    return values.map((value) => row.parse(JSON.parse(value)));
  }

  /** The only column of each row, as text. @throws as `run` */
  texts(query: string): Promise<readonly string[]> {
    return this.#values(query);
  }

  close(): void {
    this.#link.connection.end(encodeTerminate());
  }

  /** At once, in the middle of a statement too. */
  destroy(): void {
    this.#link.connection.destroy();
  }

  onChunk(view: Buffer): void {
    this.#received = Buffer.concat([this.#received, view]);
    try {
      for (let message = this.#cut(); message !== undefined; message = this.#cut()) {
        this.#receive(message.type, message.body);
      }
    } catch (error) {
      this.#link.connection.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  onDrain(): void {
    // One statement at a time: there is nothing that waits to be written.
  }

  onClose(error: Error | undefined): void {
    this.#end = new UpstreamUnavailable(
      SQLSTATE.connectionFailure,
      "the server closed the connection",
      { cause: error },
    );
    this.#pending?.done(this.#end);
  }

  #values(sql: string): Promise<readonly string[]> {
    if (this.#pending !== undefined) throw new Error("one statement at a time");
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      const values: string[] = [];
      this.#pending = {
        values,
        error: undefined,
        done: (error) => {
          this.#pending = undefined;
          if (error === undefined) resolve(values);
          else reject(error);
        },
      };
      this.#link.connection.write(queryMessage(sql));
    });
  }

  #receive(type: number, body: Buffer): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    switch (type) {
      case BACKEND.DataRow:
        pending.values.push(onlyColumn(body));
        return;
      case BACKEND.ErrorResponse: {
        const { sqlstate, message, detail, hint } = decodeResponse(body);
        pending.error = new UpstreamRefused(parseSqlstate(sqlstate), message, { detail, hint });
        return;
      }
      case BACKEND.ReadyForQuery:
        pending.done(pending.error);
        return;
      default:
    }
  }

  #cut(): { readonly type: number; readonly body: Buffer } | undefined {
    if (this.#received.length < HEADER_BYTES) return undefined;
    const length = this.#received.readUInt32BE(1);
    if (length < 4 || length > MAX_MESSAGE_BYTES) {
      throw new ProtocolViolation("invalid message length from the server");
    }
    if (this.#received.length < 1 + length) return undefined;
    const type = this.#received.readUInt8(0);
    const body = this.#received.subarray(HEADER_BYTES, 1 + length);
    this.#received = this.#received.subarray(1 + length);
    return { type, body };
  }
}

function queryMessage(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(FRONTEND.Query, 0);
  header.writeUInt32BE(4 + text.length, 1);
  return Buffer.concat([header, text]);
}

/** Int16 count of columns, then Int32 length and bytes of each (PostgreSQL docs, "Message Formats"). */
function onlyColumn(body: Buffer): string {
  const length = body.length < 6 ? -1 : body.readInt32BE(2);
  if (body.readInt16BE(0) !== 1 || length !== body.length - 6) {
    throw new ProtocolViolation("a row from the server is not the one value that was asked for");
  }
  return body.subarray(6).toString("utf8");
}
