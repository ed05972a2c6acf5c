import { connect } from "node:net";
import { createTransport } from "nodemailer";
import type { Secret } from "../../base/secret.ts";
import type { SinkConfig } from "../../config/alerts.ts";
import { alertFacts, type Alert } from "../alert.ts";
import { DELIVERED, type Delivery, type Send } from "../delivery.ts";

export interface EmailOptions extends Omit<
  Extract<SinkConfig, { kind: "email" }>,
  "kind" | "login"
> {
  readonly login: { readonly user: string; readonly password: () => Secret } | undefined;
}

const TIMEOUT_MS = 8000;

/** One mail to everybody, over a connection of its own: alerts are rare. */
export function emailSink({ host, port, tls, login, from, to }: EmailOptions): Send {
  return async (alert, signal) => {
    const transport = createTransport({
      host,
      port,
      secure: tls === "implicit",
      requireTLS: tls === "starttls",
      ignoreTLS: tls === "off",
      ...(login && { auth: { user: login.user, pass: login.password().reveal() } }),
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      // Its own sockets could not be left before their timeouts.
      getSocket: (_options, callback) => {
        const socket = connect({ host, port, signal });
        socket.once("error", callback);
        socket.once("connect", () => {
          callback(null, { connection: socket });
        });
      },
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    try {
      await transport.sendMail({ from, to: [...to], ...mail(alert, from) });
      return DELIVERED;
    } catch (error) {
      return failure(error);
    } finally {
      transport.close();
    }
  };
}

function mail(
  alert: Alert,
  from: string,
): Parameters<ReturnType<typeof createTransport>["sendMail"]>[0] {
  const state = alert.status === "resolved" ? "resolved" : alert.severity;
  const facts = alertFacts(alert).map(([label, text]) => `${label.padEnd(8)} ${text}`);
  return {
    // What comes twice is shown once; what is the same again is one thread.
    messageId: `<${alert.id}@${from.slice(from.indexOf("@") + 1)}>`,
    references: `<${alert.group}@${from.slice(from.indexOf("@") + 1)}>`,
    subject: `[twokey] ${state}: ${alert.title}`,
    text: `${alert.title}\n\n${facts.join("\n")}\n`,
    headers: { "Auto-Submitted": "auto-generated", "X-Twokey-Alert": alert.alert },
  };
}

/** 5xx is the server's last word about this mail (RFC 5321 §4.2.1), except about who we are. */
function failure(error: unknown): Delivery {
  if (!(error instanceof Error)) throw error;
  const { responseCode: code = 0, code: name } = error as { responseCode?: number; code?: string };
  const isFinal = code >= 500 && (name === "EENVELOPE" || name === "EMESSAGE");
  return { kind: "failed", why: error.message, isFinal };
}
