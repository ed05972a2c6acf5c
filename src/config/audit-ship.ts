import type { z } from "zod";
import type { shipSchema } from "./audit-ship-schema.ts";
import type { SecretSource } from "./secret-source.ts";

export type ShipConfig = { readonly records: "all" | "checkpoints" } & (
  | {
      readonly kind: "otlp" | "http";
      readonly url: string;
      readonly headers: ReadonlyMap<string, SecretSource>;
    }
  | {
      readonly kind: "syslog";
      readonly host: string;
      readonly port: number;
      readonly tls: "on" | "off";
      readonly caFile: string | undefined;
      readonly certFile: string | undefined;
      readonly keyFile: string | undefined;
    }
  | {
      readonly kind: "s3";
      readonly endpoint: string;
      readonly region: string;
      readonly prefix: string;
      readonly accessKeyId: SecretSource;
      readonly secretAccessKey: SecretSource;
      readonly lock:
        { readonly mode: "compliance" | "governance"; readonly forMs: number } | undefined;
    }
);

type ShipText = z.output<typeof shipSchema>;
type SecretText = Extract<ShipText, { kind: "s3" }>["secret_access_key"];

interface Resolve {
  readonly absolute: (path: string) => string;
  readonly secret: (text: SecretText) => SecretSource;
}

export function toShip(
  text: Readonly<Record<string, ShipText>>,
  resolve: Resolve,
): ReadonlyMap<string, ShipConfig> {
  return new Map(Object.entries(text).map(([name, its]) => [name, toReceiver(its, resolve)]));
}

function toReceiver(text: ShipText, { absolute, secret }: Resolve): ShipConfig {
  const optional = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : absolute(file);
  switch (text.kind) {
    case "otlp":
    case "http": {
      const headers = Object.entries(text.headers).map(
        ([name, source]) => [name, secret(source)] as const,
      );
      return { ...text, headers: new Map(headers) };
    }
    case "syslog":
      return {
        kind: "syslog",
        host: text.host,
        port: text.port,
        tls: text.tls,
        records: text.records,
        caFile: optional(text.ca),
        certFile: optional(text.cert),
        keyFile: optional(text.key),
      };
    case "s3":
      return {
        kind: "s3",
        endpoint: text.url,
        region: text.region,
        prefix: text.prefix,
        records: text.records,
        accessKeyId: secret(text.access_key_id),
        secretAccessKey: secret(text.secret_access_key),
        lock: text.lock && { mode: text.lock.mode, forMs: text.lock.for },
      };
  }
}
