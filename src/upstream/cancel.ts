import { SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import { encodeCancelRequest } from "../wire/encode-frontend.ts";
import type { UpstreamLink } from "./connect.ts";
import type { UpstreamConnection } from "./connection.ts";
import { dial, type UpstreamTls } from "./dial.ts";

/**
 * Asks the server, on a connection of its own, to cancel what a session is doing: encrypted when the session is. Done
 * when the server has closed that connection; it never tells whether anything was cancelled.
 *
 * @param link - a session without a key can't be cancelled: nothing is sent then
 * @throws UpstreamUnavailable (08001) when the request couldn't be delivered in time
 */
export async function cancelUpstream(
  { address, key, isEncrypted }: Pick<UpstreamLink, "address" | "key" | "isEncrypted">,
  { tls, timeoutMs }: { readonly tls: UpstreamTls; readonly timeoutMs: number },
): Promise<void> {
  if (key === undefined) return;
  const deadline = AbortSignal.timeout(timeoutMs);
  let connection: UpstreamConnection | undefined;
  try {
    // Where the session had to do without TLS, so has its cancel; where it has TLS, there is no way back.
    const mode = isEncrypted && tls.mode === "prefer" ? "require" : tls.mode;
    const dialed = await dial(address, { ...tls, mode: isEncrypted ? mode : "disable" }, deadline);
    connection = dialed.connection;
    connection.write(encodeCancelRequest(key.processId, key.secret));
    await untilClosed(connection, deadline);
  } catch (cause) {
    throw new UpstreamUnavailable(SQLSTATE.cannotConnect, "could not deliver a cancel request", {
      cause,
    });
  } finally {
    connection?.destroy();
  }
}

async function untilClosed(connection: UpstreamConnection, deadline: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    connection.listen({
      onChunk: () => undefined,
      onDrain: () => undefined,
      onClose: (error) => {
        if (error === undefined) resolve();
        else reject(error);
      },
    });
    deadline.addEventListener("abort", () => {
      reject(deadline.reason as Error);
    });
  });
}
