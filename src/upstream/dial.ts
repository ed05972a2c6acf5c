import { once } from "node:events";
import { connect, isIP, type Socket, type SocketConnectOpts } from "node:net";
import {
  checkServerIdentity,
  connect as connectTls,
  type ConnectionOptions,
  type TLSSocket,
} from "node:tls";
import type { Secret } from "../base/secret.ts";
import { encodeSslRequest } from "../wire/encode-frontend.ts";
import { UpstreamConnection } from "./connection.ts";
import { ReadBuffer } from "./read-buffer.ts";

/** A TCP address, or a Unix socket by its path (`…/.s.PGSQL.5432`). */
export type UpstreamAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/**
 * TLS as libpq's `sslmode` means it: `prefer` takes plain when the server has no TLS; `require` verifies the
 * certificate only where a CA is given; `verify-ca` its issuer; `verify-full` its name too. A Unix socket has no TLS.
 */
export interface UpstreamTls {
  readonly mode: "disable" | "prefer" | "require" | "verify-ca" | "verify-full";
  /** PEM; the system's authorities without it. */
  readonly ca?: string | undefined;
  /** PEM of the certificate by which we log in. */
  readonly certificate?: string | undefined;
  readonly key?: Secret | undefined;
  /** TLS at once, without asking (PostgreSQL 17). */
  readonly isDirect?: boolean | undefined;
}

export interface DialedConnection {
  readonly connection: UpstreamConnection;
  /** DER of the certificate that the server showed; `undefined` without TLS. */
  readonly certificate: Buffer | undefined;
}

const ALPN_PROTOCOL = "postgresql";
const KEEP_ALIVE_DELAY_MS = 30_000;

/**
 * Opens a connection and encrypts it as asked, before the protocol's first message.
 *
 * @throws Error of the system or of TLS, or one that says what the server answered; AbortError
 */
export async function dial(
  address: UpstreamAddress,
  tls: UpstreamTls,
  signal: AbortSignal,
): Promise<DialedConnection> {
  if (address.kind === "unix" || tls.mode === "disable") {
    const readBuffer = new ReadBuffer();
    const socket = await open({ ...target(address), onread: readBuffer.onread }, signal);
    return { connection: new UpstreamConnection(socket, readBuffer), certificate: undefined };
  }
  const socket = await open(target(address), signal);
  try {
    if (tls.isDirect !== true && !(await acceptsTls(socket, signal))) {
      if (tls.mode !== "prefer") throw new Error("the server does not support TLS");
      return { connection: new UpstreamConnection(socket), certificate: undefined };
    }
    const encrypted = await encrypt(socket, { host: address.host, tls }, signal);
    return {
      connection: new UpstreamConnection(encrypted),
      certificate: encrypted.getPeerCertificate().raw,
    };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function target(address: UpstreamAddress): SocketConnectOpts {
  if (address.kind === "unix") return { path: address.path };
  return {
    host: address.host,
    port: address.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
  };
}

async function open(options: SocketConnectOpts, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connect(options);
  // Before it is connected, so that nothing is read until somebody asks.
  socket.pause();
  try {
    await once(socket, "connect", { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Sends SSLRequest and reads exactly one byte of answer: what follows it must already be encrypted. */
async function acceptsTls(socket: Socket, signal: AbortSignal): Promise<boolean> {
  socket.write(encodeSslRequest());
  await once(socket, "readable", { signal });
  const answer = (socket.read(1) as Buffer | null)?.toString("latin1");
  if (answer === undefined) {
    throw new Error("the server closed the connection instead of answering SSLRequest");
  }
  if (answer !== "S" && answer !== "N") {
    // Also an ErrorResponse: nobody has proved who wrote it, so its text is not shown (CVE-2024-10977).
    throw new Error("the server did not answer SSLRequest with S or N");
  }
  // Somebody in between may have put them there, to be taken for the server's (CVE-2021-23222).
  if (socket.readableLength > 0)
    throw new Error("unencrypted bytes after the answer to SSLRequest");
  return answer === "S";
}

async function encrypt(
  socket: Socket,
  { host, tls }: { readonly host: string; readonly tls: UpstreamTls },
  signal: AbortSignal,
): Promise<TLSSocket> {
  const encrypted = connectTls({ socket, host, ...tlsOptions(host, tls) });
  try {
    await once(encrypted, "secureConnect", { signal });
    if (tls.isDirect === true && encrypted.alpnProtocol !== ALPN_PROTOCOL) {
      throw new Error(`the server did not agree on ALPN ${ALPN_PROTOCOL}`);
    }
    return encrypted;
  } catch (error) {
    encrypted.destroy();
    throw error;
  }
}

function tlsOptions(host: string, tls: UpstreamTls): ConnectionOptions {
  const isVerified = tls.mode.startsWith("verify") || tls.ca !== undefined;
  const isNameVerified = tls.mode === "verify-full";
  return {
    minVersion: "TLSv1.2",
    ALPNProtocols: [ALPN_PROTOCOL],
    // SNI holds names only (RFC 6066 §3).
    servername: isIP(host) === 0 ? host : "",
    rejectUnauthorized: isVerified,
    checkServerIdentity: (_, certificate) =>
      isNameVerified ? checkServerIdentity(host, certificate) : undefined,
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.certificate !== undefined && { cert: tls.certificate }),
    ...(tls.key !== undefined && { key: tls.key.reveal() }),
  };
}
