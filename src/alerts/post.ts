import { visibleText } from "../approvals/visible-text.ts";
import { DELIVERED, type Delivery } from "./delivery.ts";

/** Too long, too odd: no other try of the same body will be taken. Everything else may be about us, and mended. */
const FINAL_STATUSES = [400, 413, 422];
const MAX_REASON = 200;

/** Posts JSON. Redirects are not followed: what is sent is meant for the configured address alone. */
export async function postJson(
  url: string,
  {
    body,
    headers = {},
    signal,
  }: {
    readonly body: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
  },
): Promise<Delivery> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "twokey", ...headers },
    body,
    redirect: "manual",
    signal,
  });
  const reader = response.body?.getReader();
  const begin = response.ok ? undefined : await reader?.read();
  await reader?.cancel();
  if (response.ok) return DELIVERED;
  const reason = visibleText(Buffer.from(begin?.value ?? []).toString("utf8")).slice(0, MAX_REASON);
  return {
    kind: "failed",
    why: `answered ${response.status} ${reason}`.trim(),
    isFinal: FINAL_STATUSES.includes(response.status),
    retryAfterMs: parseRetryAfter(response.headers.get("retry-after"), Date.now()),
  };
}

/** Seconds, or a date (RFC 9110 §10.2.3). */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
