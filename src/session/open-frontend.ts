import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { assertNever } from "../base/assert-never.ts";
import { ConnectionRefused, ProtocolViolation, SQLSTATE } from "../base/errors.ts";
import {
  decodeStartupPacket,
  startupBodyBytes,
  type StartupPacket,
} from "../wire/startup-packet.ts";
import type { FrontendTls } from "./frontend-tls.ts";
import { readExactly } from "./read-exactly.ts";

type StartupMessage = Extract<StartupPacket, { type: "StartupMessage" }>;
type CancelRequest = Extract<StartupPacket, { type: "CancelRequest" }>;

/** What a new connection turned out to be. */
export type Opening =
  | {
      readonly kind: "session";
      readonly socket: Socket;
      readonly tls: TLSSocket | undefined;
      readonly startup: StartupMessage;
    }
  | { readonly kind: "cancel"; readonly request: CancelRequest }
  /** The peer left before it had said anything whole: a port scan, a health check. */
  | { readonly kind: "nothing" };

interface OpeningOptions {
  readonly tls: FrontendTls | undefined;
  readonly isTlsRequired: boolean;
  readonly signal: AbortSignal;
  /** Told where an error message can be sent: nowhere, while TLS is being agreed, and then only inside it. */
  readonly onChannel: (socket: Socket | undefined) => void;
}

const TLS_HANDSHAKE = 0x16;
const ACCEPT = Buffer.from("S");
const DECLINE = Buffer.from("N");

/**
 * Takes a connection up to its StartupMessage: encryption requests in either order, each at most once, or TLS right
 * from the first byte (PostgreSQL docs, "Start-Up").
 *
 * @throws ProtocolViolation, ConnectionRefused; the signal's reason after the deadline
 */
export async function openFrontend(raw: Socket, options: OpeningOptions): Promise<Opening> {
  const { tls, signal, onChannel } = options;
  let socket = raw;
  let secured: TLSSocket | undefined;
  const asked = new Set<string>();
  for (;;) {
    const first = await readExactly(socket, 1, signal);
    if (first === undefined) return { kind: "nothing" };
    if (first[0] === TLS_HANDSHAKE && secured === undefined && asked.size === 0) {
      if (tls === undefined) throw new ProtocolViolation("TLS is not set up on this port");
      raw.unshift(first);
      onChannel(undefined);
      socket = secured = await tls.accept(raw, { isDirect: true, signal });
      onChannel(socket);
      continue;
    }
    const packet = await readPacket(socket, first, signal);
    if (packet === undefined) return { kind: "nothing" };
    switch (packet.type) {
      case "CancelRequest":
        return { kind: "cancel", request: packet };
      case "StartupMessage":
        refuseUnlessSafe(packet, { options, secured, wasTlsAccepted: asked.has("accepted") });
        return { kind: "session", socket, tls: secured, startup: packet };
      case "GSSENCRequest":
        refuseRepeated(packet, { asked, secured, socket });
        socket.write(DECLINE);
        break;
      case "SSLRequest":
        refuseRepeated(packet, { asked, secured, socket });
        if (tls === undefined) {
          socket.write(DECLINE);
          break;
        }
        socket.write(ACCEPT);
        asked.add("accepted");
        onChannel(undefined);
        socket = secured = await tls.accept(raw, { isDirect: false, signal });
        onChannel(socket);
        break;
      default:
        assertNever(packet);
    }
  }
}

async function readPacket(
  socket: Socket,
  first: Buffer,
  signal: AbortSignal,
): Promise<StartupPacket | undefined> {
  const rest = await readExactly(socket, 3, signal);
  if (rest === undefined) return undefined;
  const bodyBytes = startupBodyBytes(Buffer.concat([first, rest]).readUInt32BE(0));
  const body = await readExactly(socket, bodyBytes, signal);
  return body === undefined ? undefined : decodeStartupPacket(body);
}

function refuseRepeated(
  packet: StartupPacket,
  context: { asked: Set<string>; secured: TLSSocket | undefined; socket: Socket },
): void {
  const { asked, secured, socket } = context;
  if (secured !== undefined || asked.has(packet.type)) {
    throw new ProtocolViolation(`${packet.type} was sent twice or inside TLS`);
  }
  asked.add(packet.type);
  // Whatever stands behind it in plain text would otherwise be taken for part of the encrypted stream (CVE-2021-23214).
  if (socket.readableLength > 0) {
    throw new ProtocolViolation(`received unencrypted data after ${packet.type}`);
  }
}

function refuseUnlessSafe(
  startup: StartupMessage,
  context: { options: OpeningOptions; secured: TLSSocket | undefined; wasTlsAccepted: boolean },
): void {
  const { options, secured, wasTlsAccepted } = context;
  if (secured === undefined && wasTlsAccepted) {
    throw new ProtocolViolation("startup packet in plain text after TLS was agreed");
  }
  if (secured === undefined && options.isTlsRequired) {
    throw new ConnectionRefused(
      SQLSTATE.invalidAuthorization,
      `no encryption for user "${startup.parameters.get("user") ?? ""}": this port takes TLS connections only`,
      { hint: "connect with sslmode=verify-full, or sslmode=require" },
    );
  }
}
