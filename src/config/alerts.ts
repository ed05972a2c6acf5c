import type { ALERT_EVENTS, AlertsText, SEVERITIES } from "./alerts-schema.ts";
import type { SecretSource } from "./secret-source.ts";

export type AlertEventName = (typeof ALERT_EVENTS)[number];
export type Severity = (typeof SEVERITIES)[number];

export interface AlertsConfig {
  readonly sinks: ReadonlyMap<string, SinkConfig>;
  /** `undefined`: those that come with Twokey. */
  readonly rules: readonly AlertRule[] | undefined;
  readonly statements: "summary" | "text";
  /** Has `{request}` in it. */
  readonly requestUrl: string | undefined;
  readonly groupMs: number;
  readonly maxPerMinute: number;
  readonly giveUpMs: number;
  readonly directory: string;
}

export interface AlertRule {
  readonly name: string;
  readonly on: readonly AlertEventName[];
  readonly environments?: readonly string[] | undefined;
  /** People and workloads. */
  readonly principals?: readonly string[] | undefined;
  readonly isDestructive?: boolean | undefined;
  /** Of the policy or of habits. */
  readonly rules?: readonly string[] | undefined;
  /** Five characters, or the two of a class. */
  readonly sqlstates?: readonly string[] | undefined;
  readonly times: number;
  readonly withinMs: number;
  readonly countedBy: "person" | "session" | "address" | "nothing";
  readonly severity: Severity;
  /** `undefined`: all. */
  readonly sinks?: readonly string[] | undefined;
  readonly silence?: { readonly until: Date; readonly reason: string } | undefined;
}

export type SinkConfig =
  | { readonly kind: "slack"; readonly url: SecretSource }
  | { readonly kind: "webhook"; readonly url: string; readonly secret: SecretSource }
  | {
      readonly kind: "email";
      readonly host: string;
      readonly port: number;
      readonly tls: "starttls" | "implicit" | "off";
      readonly login: { readonly user: string; readonly password: SecretSource } | undefined;
      readonly from: string;
      readonly to: readonly string[];
    }
  | { readonly kind: "pagerduty"; readonly url: string; readonly routingKey: SecretSource }
  | { readonly kind: "alertmanager"; readonly url: string };

type SecretText = Extract<AlertsText["sinks"][string], { kind: "slack" }>["webhook"];

export interface Resolve {
  readonly absolute: (path: string) => string;
  readonly secret: (text: SecretText) => SecretSource;
}

export function toAlerts(text: AlertsText, resolve: Resolve): AlertsConfig {
  return {
    sinks: new Map(Object.entries(text.sinks).map(([name, sink]) => [name, toSink(sink, resolve)])),
    rules: text.rules?.map(
      ({ within, destructive, counted_by: countedBy, people, workloads, ...rule }): AlertRule => ({
        ...rule,
        principals: people || workloads ? [...(people ?? []), ...(workloads ?? [])] : undefined,
        withinMs: within,
        isDestructive: destructive,
        countedBy,
      }),
    ),
    statements: text.statements,
    requestUrl: text.request_url,
    groupMs: text.group_for,
    maxPerMinute: text.max_per_minute,
    giveUpMs: text.give_up_after,
    directory: resolve.absolute(text.directory),
  };
}

function toSink(text: AlertsText["sinks"][string], { secret }: Resolve): SinkConfig {
  switch (text.kind) {
    case "slack":
      return { kind: "slack", url: secret(text.webhook) };
    case "webhook":
      return { kind: "webhook", url: text.url, secret: secret(text.secret) };
    case "email": {
      const { host, port, tls, user, password, from, to } = text;
      return {
        kind: "email",
        host,
        port: port ?? (tls === "implicit" ? 465 : 587),
        tls,
        login:
          user === undefined || password === undefined
            ? undefined
            : { user, password: secret(password) },
        from,
        to,
      };
    }
    case "pagerduty":
      return { kind: "pagerduty", url: text.url, routingKey: secret(text.routing_key) };
    case "alertmanager":
      return { kind: "alertmanager", url: text.url };
  }
}
