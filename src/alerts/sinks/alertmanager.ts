import type { Alert } from "../alert.ts";
import type { Send } from "../delivery.ts";
import { postJson } from "../post.ts";

export interface AlertmanagerOptions {
  readonly url: string;
  readonly now: () => Date;
}

/** An event has no end of its own; Alertmanager forgets it after this. */
const LASTS_MS = 15 * 60_000;

/** Alertmanager's API v2. Labels are what it groups and routes by, so they hold names only; the words are annotations. */
export function alertmanagerSink({ url, now }: AlertmanagerOptions): Send {
  const alerts = `${url.replace(/\/+$/, "")}/api/v2/alerts`;
  return (alert, signal) =>
    postJson(alerts, { body: JSON.stringify([toPrometheus(alert, now())]), signal });
}

function toPrometheus(alert: Alert, now: Date): object {
  const { who, where, what } = alert;
  // From now on, not from when it happened: after a long way it would be over before it is told.
  const endsAt = new Date(now.getTime() + (alert.status === "resolved" ? 0 : LASTS_MS));
  return {
    labels: {
      alertname: alert.alert,
      severity: alert.severity,
      service: "twokey",
      environment: where?.environment,
      database: where?.database,
      upstream: where?.upstream,
      person: who?.person,
      request: alert.request,
      group: alert.group,
    },
    annotations: {
      summary: alert.title,
      description: alert.next,
      rule: alert.rule,
      statement: what?.statement,
      address: who?.address,
      claimed: who?.claimed,
      times: String(alert.times),
    },
    startsAt: alert.time,
    endsAt: endsAt.toISOString(),
    ...(alert.url !== undefined && { generatorURL: alert.url }),
  };
}
