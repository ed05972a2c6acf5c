import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Secret } from "../base/secret.ts";
import type { ShipConfig } from "../config/audit-ship.ts";
import { readSecret, type SecretSource } from "../config/secret-source.ts";
import type { AuditFile } from "../store/audit-file.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Send } from "./shipment.ts";
import { Shipper } from "./shipper.ts";
import { httpSink } from "./sinks/http.ts";
import { otlpSink } from "./sinks/otlp.ts";
import { s3Sink } from "./sinks/s3.ts";
import { syslogSink } from "./sinks/syslog.ts";

export interface OpenShippers {
  /** The last record that every receiver of all records has; Infinity without any. */
  readonly shippedSeq: () => number;
  readonly close: () => Promise<void>;
}

/** Begins sending the log to everybody who is to get it, each from where they had got to. */
export function openShippers(
  {
    directory,
    ship,
  }: { readonly directory: string; readonly ship: ReadonlyMap<string, ShipConfig> },
  {
    audit,
    metrics,
    log,
  }: { readonly audit: AuditFile; readonly metrics: Metrics; readonly log: Log },
): OpenShippers {
  const bookmarks = path.join(directory, "shipped");
  if (ship.size > 0) mkdirSync(bookmarks, { recursive: true, mode: 0o700 });
  const shippers = [...ship].map(
    ([name, its]) =>
      new Shipper({
        name,
        directory,
        chain: audit.chain,
        records: its.records,
        bookmarkFile: path.join(bookmarks, `${name}.json`),
        send: openSink(its),
        syncedSeq: () => audit.syncedSeq,
        onOutcome: (outcome) => {
          metrics.shipped(name, outcome);
        },
        log,
      }),
  );
  metrics.readShipping(() =>
    shippers.map(({ name, shippedSeq }) => ({ receiver: name, lag: audit.syncedSeq - shippedSeq })),
  );
  return {
    shippedSeq: () => Math.min(Infinity, ...shippers.map(({ shippedSeq }) => shippedSeq)),
    close: async () => {
      await Promise.all(shippers.map((shipper) => shipper.close()));
    },
  };
}

/** Secrets and certificates are read at each attempt, so that rotated ones are used from then on. */
function openSink(its: ShipConfig): Send {
  const secret = (source: SecretSource) => (): Secret => readSecret(source);
  switch (its.kind) {
    case "otlp":
    case "http": {
      const headers = [...its.headers].map(([name, source]) => [name, secret(source)] as const);
      const target = { url: its.url, secretHeaders: new Map(headers) };
      return its.kind === "otlp" ? otlpSink(target) : httpSink(target);
    }
    case "syslog": {
      const { caFile, certFile, keyFile } = its;
      return syslogSink({
        ...its,
        ca: () => (caFile === undefined ? undefined : readFileSync(caFile)),
        certificate: () =>
          certFile === undefined || keyFile === undefined
            ? undefined
            : { cert: readFileSync(certFile), key: readFileSync(keyFile) },
      });
    }
    case "s3":
      return s3Sink({
        ...its,
        accessKeyId: secret(its.accessKeyId),
        secretAccessKey: secret(its.secretAccessKey),
        now: Date.now,
      });
  }
}
