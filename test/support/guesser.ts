import { once } from "node:events";
import { connect, type Socket } from "node:net";

/**
 * Tries a wrong password over SCRAM, without the arithmetic that makes a real frontend slow.
 *
 * @param from - address of this machine to come from: 127.0.0.2 and the like look like strangers
 * @returns what it was told
 */
export async function guess({
  port,
  user,
  from,
}: {
  readonly port: number;
  readonly user: string;
  readonly from: string;
}): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, localAddress: from });
  try {
    await once(socket, "connect");
    const startup = Buffer.from(`\0\x03\0\0user\0${user}\0database\0postgres\0\0`);
    socket.write(Buffer.concat([int32(startup.length + 4), startup]));
    await read(socket);
    const first = Buffer.from("n,,n=,r=guess");
    socket.write(
      message(Buffer.concat([Buffer.from("SCRAM-SHA-256\0"), int32(first.length), first])),
    );
    const [nonce] = /r=[^,]+/.exec(await read(socket)) ?? [];
    socket.write(
      message(Buffer.from(`c=biws,${nonce ?? ""},p=${Buffer.alloc(32).toString("base64")}`)),
    );
    return /\0M([a-z][^\0]+)/.exec(await read(socket))?.[1] ?? "";
  } finally {
    socket.destroy();
  }
}

async function read(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, "data")) as [Buffer];
  return chunk.toString("latin1");
}

function message(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from("p"), int32(body.length + 4), body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
