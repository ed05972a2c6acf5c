import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { LimitReached, ShuttingDown, SQLSTATE, TwokeyError } from "../base/errors.ts";
import { LoginFailed } from "./authenticate.ts";
import { encodeFatal } from "./fatal.ts";
import { openFrontend } from "./open-frontend.ts";
import { runSession } from "./session.ts";
import type { SessionServices } from "./services.ts";

export interface ListenerOptions {
  readonly services: SessionServices;
  readonly maxConnections: () => { readonly total: number; readonly perAddress: number };
}

/** Takes connections in, within limits, and sees each of them to its end. */
export class FrontendListener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  #unixServer: Server | undefined;
  readonly #connections = new Set<Socket>();
  readonly #perAddress = new Map<string, number>();
  #isClosing = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = this.#createServer({ isLocal: false });
  }

  /** @throws Error when the address can't be listened on */
  async listen(address: { readonly host: string; readonly port: number }): Promise<void> {
    await this.#open(this.#server, address);
  }

  /** Listens on a Unix socket as well; one that a killed process left behind is replaced. */
  async listenUnix(socketPath: string): Promise<void> {
    await rm(socketPath, { force: true });
    this.#unixServer = this.#createServer({ isLocal: true });
    await this.#open(this.#unixServer, { path: socketPath });
  }

  #createServer({ isLocal }: { readonly isLocal: boolean }): Server {
    const options = { noDelay: true, keepAlive: true, pauseOnConnect: true };
    return createServer(options, (socket) => {
      this.#accept(socket, { isLocal });
    });
  }

  async #open(server: Server, where: ListenOptions): Promise<void> {
    server.listen(where);
    await once(server, "listening");
    server.on("error", (error) => {
      this.#options.services.log.error({ err: error }, "a connection could not be accepted");
    });
  }

  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === "object" ? address?.port : undefined;
  }

  get isListening(): boolean {
    return this.#server.listening;
  }

  /**
   * Takes no more connections, lets sessions end for so long what they are in the middle of, then ends them with 57P01.
   */
  async close({ drainMs }: { readonly drainMs: number }): Promise<void> {
    this.#isClosing = true;
    const servers = [this.#server, this.#unixServer].filter((server) => server?.listening);
    const closed = Promise.all(
      servers.map((server) => new Promise((resolve) => server?.close(resolve))),
    );
    const { sessions } = this.#options.services;
    const deadline = performance.now() + drainMs;
    while (this.#connections.size > 0 && performance.now() < deadline) {
      for (const { relay } of sessions.list()) if (relay.isIdle) relay.terminate(SHUTTING_DOWN);
      if (this.#connections.size === 0) break;
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    for (const { relay } of sessions.list()) relay.terminate(SHUTTING_DOWN);
    for (const socket of this.#connections) socket.destroySoon();
    await closed;
  }

  #accept(socket: Socket, { isLocal }: { readonly isLocal: boolean }): void {
    const address = socket.remoteAddress ?? "local";
    const refusal = this.#whyNot(address);
    // Until a session listens for it, an error of the socket must not end the process.
    socket.on("error", () => undefined);
    if (refusal !== undefined) {
      turnAway(socket, refusal);
      return;
    }
    this.#connections.add(socket);
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1);
    socket.on("close", () => {
      this.#connections.delete(socket);
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(address);
      else this.#perAddress.set(address, left);
    });
    void this.#serve(socket, { isLocal });
  }

  #whyNot(address: string): TwokeyError | undefined {
    if (this.#isClosing) return SHUTTING_DOWN;
    const { total, perAddress } = this.#options.maxConnections();
    if (this.#connections.size >= total) {
      return new LimitReached(SQLSTATE.tooManyConnections, "sorry, too many clients already", {
        hint: "Close connections, or raise limits.connections.total of twokey.",
      });
    }
    if ((this.#perAddress.get(address) ?? 0) >= perAddress) {
      return new LimitReached(
        SQLSTATE.tooManyConnections,
        "too many connections from this address",
        {
          hint: "Close connections, or raise limits.connections.per_address of twokey.",
        },
      );
    }
    return undefined;
  }

  /** Never throws: whatever goes wrong with one connection ends here. */
  async #serve(raw: Socket, { isLocal }: { readonly isLocal: boolean }): Promise<void> {
    const { services } = this.#options;
    const { tls, isTlsRequired, cancelKeys } = services;
    const deadline = AbortSignal.timeout(services.limits().startupTimeoutMs);
    const frontend: { socket: Socket | undefined } = { socket: raw };
    const onChannel = (socket: Socket | undefined): void => {
      frontend.socket = socket;
    };
    try {
      // As with PostgreSQL: what does not leave the machine is not encrypted.
      const opening = await openFrontend(raw, {
        tls: isLocal ? undefined : tls,
        isTlsRequired: isTlsRequired && !isLocal,
        signal: deadline,
        onChannel,
      });
      if (opening.kind === "cancel") {
        const address = raw.remoteAddress ?? "local";
        cancelKeys.cancel(opening.request, { address, nowMs: performance.now() });
      }
      if (opening.kind !== "session") return;
      await runSession(opening, services, deadline);
    } catch (error) {
      const told = deadline.aborted && error === deadline.reason ? TOO_SLOW : error;
      this.#report(told, raw);
      if (frontend.socket?.writable === true) frontend.socket.write(encodeFatal(told));
    } finally {
      // The end of TLS ends what is below it, too, once its last bytes are out.
      (frontend.socket ?? raw).destroySoon();
    }
  }

  #report(error: unknown, socket: Socket): void {
    const { audit, metrics, notice, log } = this.#options.services;
    const address = socket.remoteAddress ?? "local";
    if (!(error instanceof TwokeyError)) {
      log.error({ err: error, address }, "a connection failed");
      return;
    }
    log.info({ err: error, address }, "a connection was refused");
    // Who only asks where to get a token has failed at nothing.
    if (!(error instanceof LoginFailed) || error.reason === "token_discovery") return;
    metrics.authFailed(error.reason);
    notice({ kind: "login.failed", claimed: error.user, address, reason: error.reason });
    try {
      audit.append({
        event: "auth.failure",
        person: error.user,
        client: { address },
        reason: error.reason,
        sqlstate: error.sqlstate,
      });
    } catch (cause) {
      log.error({ err: cause, address }, "a failed login is not on record");
    }
  }
}

const DRAIN_POLL_MS = 50;
const TURN_AWAY_MS = 1000;

/** Nobody will read from it, so that it would never learn of the peer's leaving, and stay for ever. */
function turnAway(socket: Socket, refusal: TwokeyError): void {
  const giveUp = setTimeout(() => {
    socket.destroy();
  }, TURN_AWAY_MS);
  socket.on("close", () => {
    clearTimeout(giveUp);
  });
  // What it has sent is thrown away: left unread, it would turn the error message into a reset.
  socket.resume();
  socket.end(encodeFatal(refusal));
}

const SHUTTING_DOWN = new ShuttingDown("terminating connection due to administrator command", {
  hint: "Twokey is being stopped. Connect again.",
});

const TOO_SLOW = new TwokeyError(
  SQLSTATE.protocolViolation,
  "startup and authentication took too long",
  { hint: "limits.startup_timeout of twokey says how long they may take" },
);
