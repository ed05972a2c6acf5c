import { randomBytes } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { Secret } from "../../src/base/secret.ts";
import { ScramClient } from "../../src/upstream/scram-client.ts";
import { sqlstateOf } from "../../src/wire/error-fields.ts";

/** One message of a backend: its letter and its body. */
export interface Answer {
  readonly type: string;
  readonly body: Buffer;
}

export interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly minorVersion?: number;
  readonly parameters?: Readonly<Record<string, string>>;
}

const WAIT_MS = 20_000;

/**
 * A frontend without manners: sends whatever bytes a test wants, in the pieces that it wants, and shows every message
 * that comes back.
 */
export class RawClient {
  readonly socket: Socket;
  /** What the start-up brought, in order, from the first answer to the first ReadyForQuery. */
  greeting: readonly Answer[] = [];
  #received: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    const ended = (): void => {
      this.#isEnded = true;
      this.#wake?.();
    };
    // A reset is an end like any other here.
    socket.on("end", ended).on("close", ended).on("error", ended);
  }

  static async open({ host, port }: Pick<Login, "host" | "port">): Promise<RawClient> {
    const socket = connectTcp({ host, port, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve).once("error", reject);
    });
    return new RawClient(socket);
  }

  /** @throws Error with SQLSTATE and message when the login fails */
  static async logIn(login: Login): Promise<RawClient> {
    const client = await RawClient.open(login);
    await client.logIn(login);
    return client;
  }

  async logIn(login: Login): Promise<void> {
    this.send(startupMessage(login));
    await this.authenticate(login.password);
  }

  /** Answers SCRAM-SHA-256 up to the first ReadyForQuery. */
  async authenticate(password: string): Promise<void> {
    const greeting: Answer[] = [];
    const scram = new ScramClient({
      password: new Secret(password),
      nonce: randomBytes(18).toString("base64"),
      channelBinding: { kind: "unsupported" },
    });
    for (;;) {
      const answer = await this.next();
      if (answer === undefined) throw new Error("closed during start-up");
      greeting.push(answer);
      if (answer.type === "E") throw new Error(trace([answer])[0]);
      if (answer.type === "Z") break;
      if (answer.type !== "R") continue;
      const data = answer.body.toString("latin1", 4);
      switch (answer.body.readUInt32BE(0)) {
        case 10:
          this.send(saslInitialResponse("SCRAM-SHA-256", scram.clientFirst()));
          break;
        case 11:
          this.send(message("p", Buffer.from(await scram.clientFinal(data))));
          break;
        case 12:
          scram.verifyServerFinal(data);
          break;
        default:
      }
    }
    this.greeting = greeting;
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** The same bytes in pieces, each in a packet of its own as far as the network lets it. */
  async sendInPieces(bytes: Buffer, pieceBytes: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      await new Promise<void>((resolve) =>
        this.socket.write(piece, () => {
          setImmediate(resolve);
        }),
      );
    }
  }

  /** The next message, or `undefined` at the end of the stream. */
  async next(): Promise<Answer | undefined> {
    for (;;) {
      const answer = this.#take();
      if (answer !== undefined) return answer;
      if (this.#isEnded) return undefined;
      await this.#more();
    }
  }

  /** One byte, as after an SSLRequest. */
  async nextByte(): Promise<string | undefined> {
    while (this.#received.length === 0) {
      if (this.#isEnded) return undefined;
      await this.#more();
    }
    const byte = this.#received.toString("latin1", 0, 1);
    this.#received = this.#received.subarray(1);
    return byte;
  }

  /** Everything up to the n-th ReadyForQuery, or the end of the stream. */
  async untilReady(count = 1): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let ready = 0; ready < count;) {
      const answer = await this.next();
      if (answer === undefined) break;
      answers.push(answer);
      if (answer.type === "Z") ready += 1;
    }
    return answers;
  }

  /** Everything up to the first message of a type, or the end of the stream. */
  async until(type: string): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (;;) {
      const answer = await this.next();
      if (answer === undefined) return answers;
      answers.push(answer);
      if (answer.type === type) return answers;
    }
  }

  async untilEnd(): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let answer = await this.next(); answer !== undefined; answer = await this.next()) {
      answers.push(answer);
    }
    return answers;
  }

  /** Sends, and tells what came back, as {@link trace} does. */
  async ask(...messages: readonly Buffer[]): Promise<string[]> {
    this.send(...messages);
    return trace(await this.untilReady());
  }

  /** What has arrived and was not asked for, a moment after the last bytes; empty when nothing did. */
  async quiet(ms = 150): Promise<Answer[]> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    const answers: Answer[] = [];
    for (let answer = this.#take(); answer !== undefined; answer = this.#take())
      answers.push(answer);
    return answers;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  close(): void {
    this.socket.destroy();
  }

  #take(): Answer | undefined {
    if (this.#received.length < 5) return undefined;
    const end = 1 + this.#received.readUInt32BE(1);
    if (this.#received.length < end) return undefined;
    const answer = {
      type: this.#received.toString("latin1", 0, 1),
      body: this.#received.subarray(5, end),
    };
    this.#received = this.#received.subarray(end);
    return answer;
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error("no answer in time"));
      }, WAIT_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Messages as a test compares them: their letter, with what matters of the body. */
export function trace(answers: readonly Answer[]): string[] {
  return answers.map(({ type, body }) => {
    switch (type) {
      case "E":
        return `E ${sqlstateOf(body)}`;
      case "C":
        return `C ${body.toString("latin1", 0, body.length - 1)}`;
      case "Z":
        return `Z ${body.toString("latin1")}`;
      default:
        return type;
    }
  });
}

/** Fields of an ErrorResponse or NoticeResponse by their letters. */
export function fieldsOf({ body }: Answer): Map<string, string> {
  const fields = new Map<string, string>();
  for (const field of body.toString("utf8").split("\0")) {
    if (field !== "") fields.set(field.charAt(0), field.slice(1));
  }
  return fields;
}

/** The columns of a DataRow, as text; NULL as `undefined`. */
export function columnsOf({ body }: Answer): (string | undefined)[] {
  const columns: (string | undefined)[] = [];
  let position = 2;
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(position);
    position += 4;
    if (length === -1) {
      columns.push(undefined);
      continue;
    }
    columns.push(body.toString("utf8", position, position + length));
    position += length;
  }
  return columns;
}

/** The rows among answers. */
export function rowsOf(answers: readonly Answer[]): (string | undefined)[][] {
  return answers.filter(({ type }) => type === "D").map(columnsOf);
}

// --- messages -------------------------------------------------------------------------------------------

export function message(type: string, body: Buffer = Buffer.alloc(0)): Buffer {
  return rawMessage(type, 4 + body.length, body);
}

/** With a length word that may lie. */
export function rawMessage(type: string, length: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, "latin1");
  header.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([header, body]);
}

export function cString(text: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(text as string), Buffer.alloc(1)]);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function query(text: string | Buffer): Buffer {
  return message("Q", cString(text));
}

export function parse(name: string, text: string | Buffer, types: readonly number[] = []): Buffer {
  return message(
    "P",
    Buffer.concat([cString(name), cString(text), int16(types.length), ...types.map(int32)]),
  );
}

export interface BindOptions {
  readonly portal?: string;
  readonly statement?: string;
  readonly formats?: readonly number[];
  readonly values?: readonly (string | Buffer | null)[];
  readonly resultFormats?: readonly number[];
}

export function bind({
  portal = "",
  statement = "",
  formats = [],
  values = [],
  resultFormats = [],
}: BindOptions = {}): Buffer {
  return message(
    "B",
    Buffer.concat([
      cString(portal),
      cString(statement),
      int16(formats.length),
      ...formats.map(int16),
      int16(values.length),
      ...values.flatMap((value) => {
        if (value === null) return [int32(-1)];
        const bytes = Buffer.from(value as string);
        return [int32(bytes.length), bytes];
      }),
      int16(resultFormats.length),
      ...resultFormats.map(int16),
    ]),
  );
}

export function describeStatement(name = ""): Buffer {
  return message("D", cString(`S${name}`));
}

export function describePortal(name = ""): Buffer {
  return message("D", cString(`P${name}`));
}

export function closeStatement(name: string): Buffer {
  return message("C", cString(`S${name}`));
}

export function closePortal(name: string): Buffer {
  return message("C", cString(`P${name}`));
}

export function execute(portal = "", maxRows = 0): Buffer {
  return message("E", Buffer.concat([cString(portal), int32(maxRows)]));
}

export function functionCall(oid: number, args: readonly string[]): Buffer {
  return message(
    "F",
    Buffer.concat([
      int32(oid),
      int16(0),
      int16(args.length),
      ...args.flatMap((arg) => [int32(Buffer.byteLength(arg)), Buffer.from(arg)]),
      int16(0),
    ]),
  );
}

export const sync = (): Buffer => message("S");
export const flush = (): Buffer => message("H");
export const terminate = (): Buffer => message("X");
export const copyData = (data: string | Buffer): Buffer =>
  message("d", Buffer.from(data as string));
export const copyDone = (): Buffer => message("c");
export const copyFail = (why: string): Buffer => message("f", cString(why));

/** Parse, Bind and Execute of one text, all unnamed. */
export function run(text: string): Buffer {
  return Buffer.concat([parse("", text), bind(), execute()]);
}

export function startupPacket(code: number, body: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([int32(8 + body.length), int32(code), body]);
}

export function startupMessage({
  user,
  database,
  minorVersion = 0,
  parameters = {},
}: Pick<Login, "user" | "database" | "minorVersion" | "parameters">): Buffer {
  const pairs = Object.entries({ user, database, ...parameters });
  return startupParameters(pairs, minorVersion);
}

/** In the order given, repeated keys and all. */
export function startupParameters(
  pairs: readonly (readonly [string, string])[],
  minorVersion = 0,
): Buffer {
  const strings = pairs.flatMap(([name, value]) => [cString(name), cString(value)]);
  return startupPacket((3 << 16) | minorVersion, Buffer.concat([...strings, Buffer.alloc(1)]));
}

export const SSL_REQUEST = startupPacket(80877103);
export const GSSENC_REQUEST = startupPacket(80877104);

export function cancelRequest(processId: number, secret: Buffer): Buffer {
  return startupPacket(80877102, Buffer.concat([int32(processId), secret]));
}

export function saslInitialResponse(mechanism: string, data: string): Buffer {
  const response = Buffer.from(data);
  return message("p", Buffer.concat([cString(mechanism), int32(response.length), response]));
}

/** What BackendKeyData said at start-up. */
export function keyOf(client: RawClient): { readonly processId: number; readonly secret: Buffer } {
  const key = client.greeting.find(({ type }) => type === "K");
  if (key === undefined) throw new Error("no BackendKeyData");
  return { processId: key.body.readUInt32BE(0), secret: key.body.subarray(4) };
}

/** Settings as ParameterStatus reported them at start-up. */
export function settingsOf(client: RawClient): Map<string, string> {
  return new Map(
    client.greeting
      .filter(({ type }) => type === "S")
      .map(({ body }) => {
        const [name = "", value = ""] = body.toString("utf8").split("\0");
        return [name, value] as const;
      }),
  );
}
