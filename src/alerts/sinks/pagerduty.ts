import type { Secret } from "../../base/secret.ts";
import { alertFacts, type Alert } from "../alert.ts";
import type { Send } from "../delivery.ts";
import { postJson } from "../post.ts";

export interface PagerDutyOptions {
  readonly url: string;
  readonly routingKey: () => Secret;
}

const MAX_SUMMARY = 1024;

/** Events API v2: the same thing happening again joins its open incident; the end of a state resolves it. */
export function pagerDutySink({ url, routingKey }: PagerDutyOptions): Send {
  return (alert, signal) =>
    postJson(url, { body: JSON.stringify(toEvent(alert, routingKey())), signal });
}

function toEvent(alert: Alert, routingKey: Secret): object {
  const key = { routing_key: routingKey.reveal(), dedup_key: alert.group };
  if (alert.status === "resolved") return { ...key, event_action: "resolve" };
  const { url, request, where } = alert;
  return {
    ...key,
    event_action: "trigger",
    payload: {
      summary: alert.title.slice(0, MAX_SUMMARY),
      source: where?.database ?? where?.upstream ?? "twokey",
      severity: alert.severity,
      timestamp: alert.time,
      group: where?.environment,
      class: alert.alert,
      custom_details: Object.fromEntries(alertFacts(alert)),
    },
    client: "Twokey",
    links: url === undefined ? [] : [{ href: url, text: `Request ${request ?? ""}` }],
  };
}
