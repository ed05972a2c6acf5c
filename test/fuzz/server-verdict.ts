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
  #received = Buffer.alloc(0);
  #onVerdict: ((verdict: ServerVerdict) => void) | undefined;
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
    await client.query("BEGIN");
    await client.query("SELECT 1/0").catch(() => undefined);
    // The error is told before its ReadyForQuery is there, which would count as a verdict.
    await client.query("");
    return new ServerGrammar(client);
  }

  /** @param texts - without zero characters, well-formed */
  async verdicts(texts: readonly string[]): Promise<readonly ServerVerdict[]> {
    const verdicts: ServerVerdict[] = [];
    const done = new Promise<void>((resolve) => {
      this.#onVerdict = (verdict) => {
        if (verdicts.push(verdict) === texts.length) resolve();
      };
    });
    this.#stream.write(Buffer.concat(texts.flatMap((text) => [parseMessage(text), SYNC])));
    if (texts.length > 0) await done;
    return verdicts;
  }

  close(): void {
    this.#client.on("error", () => undefined);
    this.#stream.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      if (this.#received.length < 5) return;
      const end = 1 + this.#received.readInt32BE(1);
      if (this.#received.length < end) return;
      const type = String.fromCharCode(this.#received[0] ?? 0);
      const body = this.#received.subarray(5, end);
      this.#received = this.#received.subarray(end);
      // ParseComplete: an empty text, or a ROLLBACK, which an aborted transaction would take.
      if (type === "1") this.#verdict = "one";
      if (type === "E") this.#verdict = verdictOf(body.toString("utf8"));
      if (type === "Z") {
        this.#onVerdict?.(this.#verdict);
        this.#verdict = "none";
      }
    }
  }
}

function verdictOf(error: string): ServerVerdict {
  const fields = new Map(error.split("\0").map((field) => [field.slice(0, 1), field.slice(1)]));
  if (fields.get("C") === "25P02") return "one";
  return (fields.get("M") ?? "").includes("cannot insert multiple commands") ? "many" : "refused";
}

function parseMessage(text: string): Buffer {
  const body = Buffer.from(`\0${text}\0\0\0`);
  const header = Buffer.alloc(5);
  header.write("P");
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);
