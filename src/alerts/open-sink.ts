import type { SinkConfig } from "../config/alerts.ts";
import { readSecret, type SecretSource } from "../config/secret-source.ts";
import type { Secret } from "../base/secret.ts";
import type { Send } from "./delivery.ts";
import { alertmanagerSink } from "./sinks/alertmanager.ts";
import { emailSink } from "./sinks/email.ts";
import { pagerDutySink } from "./sinks/pagerduty.ts";
import { slackSink } from "./sinks/slack.ts";
import { webhookSink } from "./sinks/webhook.ts";

export interface SinkSurroundings {
  readonly now: () => Date;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** Secrets are read at each attempt, so that a rotated one is used from then on. */
export function openSink(config: SinkConfig, { now, env }: SinkSurroundings): Send {
  const secret = (source: SecretSource) => (): Secret => readSecret(source, env);
  switch (config.kind) {
    case "slack":
      return slackSink(secret(config.url));
    case "webhook":
      return webhookSink({ url: config.url, secret: secret(config.secret), now });
    case "email": {
      const { login } = config;
      return emailSink({
        ...config,
        login: login && { user: login.user, password: secret(login.password) },
      });
    }
    case "pagerduty":
      return pagerDutySink({ url: config.url, routingKey: secret(config.routingKey) });
    case "alertmanager":
      return alertmanagerSink({ url: config.url, now });
  }
}
