import type { Socket } from "node:net";
import { createServer, type Server, type TlsOptions, type TLSSocket } from "node:tls";
import { ProtocolViolation } from "../base/errors.ts";

/** ALPN name of the protocol; a frontend that starts with TLS right away must offer it (PostgreSQL docs, "SSL Session Encryption"). */
const ALPN = "postgresql";

/**
 * TLS towards frontends. One `tls.Server` does every handshake: only that way `authorized` is set from the client's
 * certificate, which a bare `TLSSocket` never does.
 */
export class FrontendTls {
  readonly #server: Server;
  readonly #waiting = new Map<string, (outcome: TLSSocket | Error) => void>();

  /** @throws Error for a key or certificate that OpenSSL does not take */
  constructor(options: TlsOptions) {
    this.#server = createServer({ ...options, ALPNProtocols: [ALPN], minVersion: "TLSv1.2" });
    this.#server.on("secureConnection", (socket) => {
      this.#settle(socket, socket);
    });
    this.#server.on("tlsClientError", (error, socket) => {
      this.#settle(socket, error);
    });
  }

  /** New key and certificate for handshakes to come. */
  replace(options: TlsOptions): void {
    this.#server.setSecureContext({ ...options, minVersion: "TLSv1.2" });
  }

  /**
   * @param isDirect - the frontend began with the handshake itself, so it has to offer ALPN
   * @throws ProtocolViolation when the handshake fails, the signal's reason when it takes too long
   */
  async accept(
    socket: Socket,
    { isDirect, signal }: { isDirect: boolean; signal: AbortSignal },
  ): Promise<TLSSocket> {
    const secured = await this.#handshake(socket, signal);
    // Until somebody listens for it, an error of the socket would end the process.
    secured.on("error", ignoreUntilRead);
    if (isDirect && secured.alpnProtocol !== ALPN) {
      secured.destroy();
      throw new ProtocolViolation("direct TLS connection without ALPN protocol negotiation");
    }
    return secured;
  }

  #handshake(socket: Socket, signal: AbortSignal): Promise<TLSSocket> {
    const key = endpoints(socket);
    return new Promise((resolve, reject) => {
      const settle = (outcome: TLSSocket | Error): void => {
        this.#waiting.delete(key);
        signal.removeEventListener("abort", aborted);
        socket.off("close", closed);
        if (outcome instanceof Error) {
          reject(new ProtocolViolation("TLS handshake failed", { cause: outcome }));
        } else {
          resolve(outcome);
        }
      };
      const aborted = (): void => {
        settle(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      const closed = (): void => {
        settle(new Error("closed during the handshake"));
      };
      this.#waiting.set(key, settle);
      signal.addEventListener("abort", aborted);
      socket.on("close", closed);
      this.#server.emit("connection", socket);
    });
  }

  #settle(socket: TLSSocket, outcome: TLSSocket | Error): void {
    this.#waiting.get(endpoints(socket))?.(outcome);
  }
}

function ignoreUntilRead(): void {
  // Whoever reads next learns of it: the socket is destroyed.
}

// The server tells only of the new socket; both ends' addresses say which connection it is.
function endpoints(socket: Socket): string {
  return `${socket.remoteAddress ?? ""} ${socket.remotePort ?? ""} ${socket.localPort ?? ""}`;
}
