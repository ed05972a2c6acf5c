import type { Socket } from "node:net";
import pg from "pg";

/** What a server's grammar makes of a text. */
export type ServerVerdict = "refused" | "none" | "one" | "many";

/**
 * Asks a real server whether texts parse, running nothing: a Parse message in an aborted transaction goes through the
 * grammar and no further.
 */
export class ServerGrammar {
  readonly #client: pg.Client;
  readonly #stream: Socket;
  readonly #asked: ((verdict: ServerVerdict) => void)[] = [];
  #received: Buffer = Buffer.alloc(0);
  #told = 0;
  #verdict: ServerVerdict = "none";

  private constructor(client: pg.Client) {
    this.#client = client;
    this.#stream = (client as unknown as { connection: { stream: Socket } }).connection.stream;
    this.#stream.removeAllListeners("data");
    this.#stream.on("data", (chunk: Buffer) => {
      this.#receive(chunk);
    });
  }

  static async connect(config: pg.ClientConfig): Promise<ServerGrammar> {
    const client = new pg.Client(config);
    await client.connect();
    // Millions of errors are expected: none of them is worth a line in the server's log.
    await client.query("SET log_min_messages = panic; SET log_min_error_statement = panic");
    await client.query("BEGIN");
    await client.query("SELECT 1/0").catch(() => undefined);
    // The error is told before its ReadyForQuery is there, which would count as a verdict.
    await client.query("");
    return new ServerGrammar(client);
  }

  /**
   * Asks without waiting for the batches before: the server works on one while another is judged here.
   *
   * @param texts - without zero characters, well-formed
   */
  async verdicts(texts: readonly string[]): Promise<readonly ServerVerdict[]> {
    if (texts.length === 0) return [];
    const verdicts: ServerVerdict[] = [];
    return new Promise((resolve) => {
      this.#stream.write(Buffer.concat(texts.map(parseMessage)));
      const hear = (verdict: ServerVerdict): void => {
        if (verdicts.push(verdict) === texts.length) resolve(verdicts);
      };
      this.#asked.push(...texts.map(() => hear));
    });
  }

  close(): void {
    this.#client.on("error", () => undefined);
    this.#stream.destroy();
  }

  #receive(chunk: Buffer): void {
    const received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    let at = 0;
    while (received.length - at >= 5) {
      const end = at + 1 + received.readInt32BE(at + 1);
      if (received.length < end) break;
      this.#hear(String.fromCharCode(received[at] ?? 0), received.subarray(at + 5, end));
      at = end;
    }
    this.#received = received.subarray(at);
    this.#asked.splice(0, this.#told);
    this.#told = 0;
  }

  #hear(type: string, body: Buffer): void {
    // ParseComplete: an empty text, or a ROLLBACK, which an aborted transaction would take.
    if (type === "1") this.#verdict = "one";
    if (type === "E") this.#verdict = verdictOf(body.toString("utf8"));
    if (type !== "Z") return;
    this.#asked[this.#told++]?.(this.#verdict);
    this.#verdict = "none";
  }
}

function verdictOf(error: string): ServerVerdict {
  const fields = new Map(error.split("\0").map((field) => [field.slice(0, 1), field.slice(1)]));
  if (fields.get("C") === "25P02") return "one";
  return (fields.get("M") ?? "").includes("cannot insert multiple commands") ? "many" : "refused";
}

/** Parse of the unnamed statement, and Sync. */
function parseMessage(text: string): Buffer {
  const bodyBytes = Buffer.byteLength(text) + 4;
  const message = Buffer.alloc(5 + bodyBytes + 5);
  message.write("P");
  message.writeInt32BE(bodyBytes + 4, 1);
  message.write(text, 6);
  message.write("S", 5 + bodyBytes);
  message.writeInt32BE(4, 6 + bodyBytes);
  return message;
}
