import { afterEach, describe, expect, it } from "vitest";
import { cancelUpstream } from "../../src/upstream/cancel.ts";
import { scriptedServer, type ScriptedServer } from "./scripted-server.ts";

let server: ScriptedServer;
const tls = { mode: "disable" } as const;
const key = { processId: 7, secret: Buffer.from("0123456789abcdef") };

afterEach(() => {
  server.close();
});

describe("a cancel request", () => {
  it("carries the session's key, and is done when the server has closed", async () => {
    const received: Buffer[] = [];
    server = await scriptedServer((socket) => {
      socket.on("data", (bytes: Buffer) => {
        received.push(bytes);
        socket.end();
      });
    });
    const link = { address: server.address, key, isEncrypted: false };
    await cancelUpstream(link, { tls, timeoutMs: 5_000 });
    expect(Buffer.concat(received).toString("latin1")).toBe(
      "\0\0\0\x1c\x04\xd2\x16\x2e\0\0\0\x070123456789abcdef",
    );
  });

  it("is not sent for a session without a key", async () => {
    let connections = 0;
    server = await scriptedServer(() => (connections += 1));
    await cancelUpstream(
      { address: server.address, key: undefined, isEncrypted: false },
      { tls, timeoutMs: 5_000 },
    );
    expect(connections).toBe(0);
  });

  it("has a deadline", async () => {
    server = await scriptedServer((socket) => socket.resume());
    const link = { address: server.address, key, isEncrypted: false };
    await expect(cancelUpstream(link, { tls, timeoutMs: 100 })).rejects.toMatchObject({
      sqlstate: "08001",
    });
  });

  it("is not sent in plain for a session that is encrypted", async () => {
    const received: Buffer[] = [];
    server = await scriptedServer((socket) => {
      socket.on("data", (bytes: Buffer) => {
        received.push(bytes);
        socket.write("N");
      });
    });
    const link = { address: server.address, key, isEncrypted: true };
    const sent = cancelUpstream(link, { tls: { mode: "prefer" }, timeoutMs: 1_000 });
    await expect(sent).rejects.toMatchObject({ sqlstate: "08001" });
    expect(Buffer.concat(received)).toHaveLength(8); // SSLRequest alone
  });
});
