import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import type { SilenceDesk } from "../admin/watch-routes.ts";
import { Alerting } from "../alerts/alerting.ts";
import { Courier } from "../alerts/courier.ts";
import type { Notice } from "../alerts/event.ts";
import { Memory } from "../alerts/memory.ts";
import { openSink } from "../alerts/open-sink.ts";
import { Outbox } from "../alerts/outbox.ts";
import { DEFAULT_RULES, isSilenced } from "../alerts/rules.ts";
import { Silences } from "../alerts/silences.ts";
import { sha256 } from "../base/digest.ts";
import type { Config } from "../config/config.ts";
import type { AuditFile } from "../store/audit-file.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface AlertingParts {
  readonly config: Pick<Config, "alerts" | "file">;
  readonly audit: Pick<AuditFile, "append">;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly now: () => Date;
}

export interface OpenAlerting {
  /** Never throws and never waits. */
  readonly notice: (notice: Notice) => void;
  readonly silences: SilenceDesk;
  readonly close: () => Promise<void>;
}

/** Opens the sinks and what an earlier process left for them. Without any sink, nobody is told anything. */
export async function openAlerting(parts: AlertingParts): Promise<OpenAlerting> {
  const { config, log, now } = parts;
  const {
    sinks,
    directory,
    rules = DEFAULT_RULES,
    giveUpMs,
    groupMs,
    maxPerMinute,
  } = config.alerts;
  if (sinks.size === 0) {
    const silences = { rules: [], list: () => [], add: () => undefined, remove: () => false };
    return { notice: () => undefined, silences, close: () => Promise.resolve() };
  }

  const onTrouble = (error: unknown): void => {
    log.error({ err: error }, "trouble with the alerts' files");
  };
  const memory = await Memory.open(path.join(directory, "known.json"), { onTrouble });
  const silences = await Silences.open(path.join(directory, "silences.json"), { onTrouble });
  const { outbox, left } = await Outbox.open(path.join(directory, "outbox"), { onTrouble });
  const couriers = new Map(
    [...sinks].map(([sink, its]) => [
      sink,
      new Courier({
        sink,
        send: openSink(its, { now }),
        outbox,
        giveUpMs,
        onOutcome: ({ alert }, outcome) => {
          parts.metrics.alert(sink, outcome);
          record(parts, { alert: alert.id, sink, isDelivered: outcome === "sent" });
        },
        log,
        now,
        random: Math.random,
      }),
    ]),
  );
  for (const entry of left) {
    const courier = couriers.get(entry.sink);
    if (courier !== undefined) courier.add(entry, { isStored: true });
    else {
      log.warn({ sink: entry.sink, alert: entry.alert.id }, "an alert's sink is gone");
      outbox.remove(entry);
    }
  }
  for (const rule of rules.filter((one) => isSilenced(one, now()))) {
    log.warn({ alert: rule.name, ...rule.silence }, "an alert rule is silenced");
  }
  const wording = { statements: config.alerts.statements, requestUrl: config.alerts.requestUrl };
  const newId = (): string => `A-${randomUUID()}`;
  const alerting = new Alerting({
    rules,
    couriers,
    memory,
    silences,
    wording,
    groupMs,
    maxPerMinute,
    newId,
    log,
    now,
  });
  noticeConfig(config.file, { memory, alerting });
  return {
    notice: alerting.notice,
    silences: {
      rules: rules.map(({ name }) => name),
      list: () => silences.list(now()),
      add: (silence) => silences.add({ person: undefined, ...silence }, now()),
      remove: (id) => silences.remove(id, now()),
    },
    close: async () => {
      await alerting.close();
      await silences.close();
      await outbox.close();
      await memory.close();
    },
  };
}

function noticeConfig(
  file: string,
  { memory, alerting }: { readonly memory: Memory; readonly alerting: Alerting },
): void {
  const digest = sha256(readFileSync(file));
  if (memory.isNewConfig(digest)) alerting.notice({ kind: "config.changed", file, sha256: digest });
}

/** That the log can't be written is what this very alert may be about. */
function record(
  { audit, log }: Pick<AlertingParts, "audit" | "log">,
  { alert, sink, isDelivered }: { alert: string; sink: string; isDelivered: boolean },
): void {
  const outcome = isDelivered ? "delivered" : "failed";
  try {
    audit.append({ event: "alert.sent", alert, sink, outcome });
  } catch (error) {
    log.error({ err: error, alert, sink, outcome }, "the delivery of an alert is not on record");
  }
}
