import { createHmac } from "node:crypto";
import type { Secret } from "../../base/secret.ts";
import type { Send } from "../delivery.ts";
import { postJson } from "../post.ts";

export interface WebhookOptions {
  readonly url: string;
  readonly secret: () => Secret;
  readonly now: () => Date;
}

/** The alert itself, signed as the Standard Webhooks specification says, so that receivers can use any of its libraries. */
export function webhookSink({ url, secret, now }: WebhookOptions): Send {
  return (alert, signal) => {
    const body = JSON.stringify(alert);
    const timestamp = Math.floor(now().getTime() / 1000);
    const signature = sign({ id: alert.id, timestamp, body }, keyOf(secret()));
    const headers = {
      "webhook-id": alert.id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,${signature}`,
    };
    return postJson(url, { body, headers, signal });
  };
}

function sign(
  {
    id,
    timestamp,
    body,
  }: { readonly id: string; readonly timestamp: number; readonly body: string },
  key: Buffer,
): string {
  return createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
}

const PREFIX = "whsec_";

/** `whsec_` and base64, as the specification has it; anything else counts byte for byte. */
function keyOf(secret: Secret): Buffer {
  const text = secret.reveal();
  return text.startsWith(PREFIX)
    ? Buffer.from(text.slice(PREFIX.length), "base64")
    : Buffer.from(text, "utf8");
}
