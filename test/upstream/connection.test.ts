import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { UpstreamConnection, type UpstreamListener } from "../../src/upstream/connection.ts";
import { LARGE_BYTES, ReadBuffer, SMALL_BYTES } from "../../src/upstream/read-buffer.ts";
import { scriptedServer, type ScriptedServer } from "./scripted-server.ts";

const MEGABYTE = 1024 * 1024;
const servers: ScriptedServer[] = [];
const connections: UpstreamConnection[] = [];

afterEach(() => {
  for (const connection of connections.splice(0)) connection.destroy();
  for (const server of servers.splice(0)) server.close();
});

const KINDS = ["plain, one buffer", "as TLS, data events"] as const;

async function open(
  kind: (typeof KINDS)[number],
  script: (socket: Socket) => void,
): Promise<UpstreamConnection> {
  const server = await scriptedServer(script);
  servers.push(server);
  if (server.address.kind !== "tcp") throw new Error("not TCP");
  const readBuffer = kind === "plain, one buffer" ? new ReadBuffer() : undefined;
  const socket = connect({
    host: server.address.host,
    port: server.address.port,
    ...(readBuffer && { onread: readBuffer.onread }),
  });
  socket.pause();
  await once(socket, "connect");
  const connection = new UpstreamConnection(socket, readBuffer);
  connections.push(connection);
  return connection;
}

function listener(events: Partial<UpstreamListener>): UpstreamListener {
  return {
    onChunk: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
    ...events,
  };
}

async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Bytes that differ everywhere, so that a chunk lost, doubled or overwritten shows. */
function pattern(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) buffer.writeUInt32LE(at, at);
  return buffer;
}

describe.each(KINDS)("a connection (%s)", (kind) => {
  it("delivers a stream unchanged", async () => {
    const sent = pattern(8 * MEGABYTE);
    const connection = await open(kind, (socket) => socket.end(sent));
    const received: Buffer[] = [];
    await new Promise<void>((resolve) => {
      connection.listen(
        listener({
          onChunk: (view) => received.push(Buffer.from(view)),
          onClose: () => {
            resolve();
          },
        }),
      );
    });
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  });

  it("reads nothing before somebody listens, and nothing while paused", async () => {
    const connection = await open(kind, (socket) => socket.write(pattern(MEGABYTE)));
    await nextTurns();
    let bytes = 0;
    let isPaused = false;
    const all = new Promise<void>((resolve) => {
      connection.listen(
        listener({
          onChunk: (view) => {
            expect(isPaused).toBe(false);
            bytes += view.length;
            if (bytes === MEGABYTE) resolve();
            connection.pause();
            isPaused = true;
            setImmediate(() => {
              isPaused = false;
              connection.resume();
            });
          },
        }),
      );
    });
    await all;
  });

  it("hands over from one listener to the next without losing a byte", async () => {
    const sent = pattern(MEGABYTE);
    const connection = await open(kind, (socket) => socket.end(sent));
    const received: Buffer[] = [];
    await new Promise<void>((resolve) => {
      connection.listen(
        listener({
          onChunk: (view) => {
            received.push(Buffer.from(view.subarray(0, 10)));
            connection.handOver(Buffer.from(view.subarray(10)));
            resolve();
          },
        }),
      );
    });
    await nextTurns();
    await new Promise<void>((resolve) => {
      connection.listen(
        listener({
          onChunk: (view) => received.push(Buffer.from(view)),
          onClose: () => {
            resolve();
          },
        }),
      );
    });
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  });

  it("leaves a chunk alone that is kept", async () => {
    const sent = pattern(4 * MEGABYTE);
    const connection = await open(kind, (socket) => socket.end(sent));
    const kept: Buffer[] = [];
    await new Promise<void>((resolve) => {
      connection.listen(
        listener({
          onChunk: (view) => {
            kept.push(view);
            connection.keepChunk();
          },
          onClose: () => {
            resolve();
          },
        }),
      );
    });
    expect(Buffer.concat(kept).equals(sent)).toBe(true);
  });

  it("says when to wait with writing, and when to go on", async () => {
    const connection = await open(kind, (socket) => {
      socket.pause();
      setImmediate(() => socket.resume());
    });
    const drained = new Promise<void>((resolve) => {
      connection.listen(
        listener({
          onDrain: () => {
            resolve();
          },
        }),
      );
    });
    const block = pattern(MEGABYTE);
    while (connection.write(block)) continue;
    expect(connection.writableLength).toBeGreaterThan(0);
    await drained;
    expect(connection.writableLength).toBe(0);
  });

  it("tells the end once: in order, reset, or ended by us, also to who comes late", async () => {
    const endings: [(socket: Socket) => void, (connection: UpstreamConnection) => void, RegExp][] =
      [
        [(socket) => socket.end(), () => undefined, /^in order$/],
        [
          (socket) => socket.once("data", () => socket.resetAndDestroy()),
          (connection) => connection.write(Buffer.from("?")),
          /ECONNRESET/,
        ],
        [
          () => undefined,
          (connection) => {
            connection.destroy();
          },
          /^in order$/,
        ],
        [
          () => undefined,
          (connection) => {
            connection.destroy(new Error("enough"));
          },
          /^enough$/,
        ],
        [
          (socket) => socket.end(),
          (connection) => {
            connection.end(Buffer.from("X"));
          },
          /^in order$/,
        ],
      ];
    for (const [script, act, expected] of endings) {
      const connection = await open(kind, (socket) => {
        socket.resume();
        script(socket);
      });
      const told: string[] = [];
      const ended = (): Promise<void> =>
        new Promise((resolve) => {
          connection.listen(
            listener({
              onClose: (error) => {
                told.push(error?.message ?? "in order");
                resolve();
              },
            }),
          );
        });
      const first = ended();
      act(connection);
      await first;
      await nextTurns();
      expect(told).toEqual([expect.stringMatching(expected)]);
      await ended();
      expect(told).toHaveLength(2);
    }
  });
});

describe("a read buffer", () => {
  /** One read of so many bytes, as the socket does it; gives the size of the buffer that was read into. */
  function read(buffer: ReadBuffer, bytes: number): number {
    const { onread } = buffer;
    const memory = typeof onread.buffer === "function" ? onread.buffer() : onread.buffer;
    onread.callback(Math.min(bytes, memory.length), memory);
    return memory.length;
  }

  it("grows when a read fills it, and shrinks when reads are small again", () => {
    const buffer = new ReadBuffer();
    const sizes = [100, SMALL_BYTES, LARGE_BYTES, ...Array<number>(10).fill(100)].map((bytes) =>
      read(buffer, bytes),
    );
    expect(sizes).toEqual([
      SMALL_BYTES,
      SMALL_BYTES,
      ...Array<number>(9).fill(LARGE_BYTES),
      SMALL_BYTES,
      SMALL_BYTES,
    ]);
  });

  it("stays large while a stream has small reads now and then", () => {
    const buffer = new ReadBuffer();
    read(buffer, SMALL_BYTES);
    for (let i = 0; i < 50; i++)
      expect(read(buffer, i % 5 === 0 ? LARGE_BYTES : 10)).toBe(LARGE_BYTES);
  });

  it("lends its memory to others only when it has released it", () => {
    const one = new ReadBuffer();
    const other = new ReadBuffer();
    const memoryOf = (buffer: ReadBuffer): unknown =>
      typeof buffer.onread.buffer === "function" ? buffer.onread.buffer() : undefined;
    const first = memoryOf(one);
    expect(memoryOf(one)).toBe(first);
    expect(memoryOf(other)).not.toBe(first);
    one.keep();
    expect(memoryOf(one)).not.toBe(first);
  });
});
