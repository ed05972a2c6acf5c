import { spawn } from "node:child_process";
import { hash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { pino } from "pino";
import S3rver from "s3rver";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { encodeFragment, parseRecord } from "../../src/audit/record.ts";
import { Secret } from "../../src/base/secret.ts";
import type { Send } from "../../src/shipping/shipment.ts";
import { Shipper, type ShipperOptions } from "../../src/shipping/shipper.ts";
import { httpSink } from "../../src/shipping/sinks/http.ts";
import { otlpSink } from "../../src/shipping/sinks/otlp.ts";
import { s3Sink } from "../../src/shipping/sinks/s3.ts";
import { syslogMessage, syslogSink } from "../../src/shipping/sinks/syslog.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { keepClosedFiles } from "../../src/store/audit-keep.ts";
import { searchDirectory } from "../../src/store/audit-search.ts";
import { loadAnchors, verifyDirectory } from "../../src/store/audit-verify.ts";
import { PUBLIC_KEY, SIGNING_KEY } from "../support/audit-chain.ts";
import { pem } from "../support/pem.ts";
import { httpReceiver, syslogReceiver } from "./receivers.ts";

let directory: string;
let audit: AuditFile;
let shippers: Shipper[];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-ship-"));
  shippers = [];
  audit = AuditFile.open({
    directory: path.join(directory, "audit"),
    signingKey: SIGNING_KEY,
    durability: "normal",
    limits: { maxFileBytes: 100_000, checkpointEveryRecords: 50 },
  });
});

afterEach(async () => {
  await Promise.all(shippers.map((shipper) => shipper.close()));
  await audit.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

function ship(send: Send, more: Partial<ShipperOptions> = {}): Shipper {
  const shipper = new Shipper({
    name: "test",
    directory: path.join(directory, "audit"),
    chain: audit.chain,
    records: "all",
    bookmarkFile: path.join(directory, "bookmark.json"),
    send,
    syncedSeq: () => audit.syncedSeq,
    onOutcome: () => undefined,
    log: pino({ level: "silent" }),
    ...more,
  });
  shippers.push(shipper);
  return shipper;
}

async function write(count: number): Promise<void> {
  const start = audit.stats.records;
  for (let i = 0; i < count; i += 1) {
    const fragment = encodeFragment({
      person: i % 9 === 0 ? "eve" : "grüße",
      database: "shop",
      sql: `SELECT ${start + i}`,
      action: i % 9 === 0 ? "block" : "allow",
    });
    const seq = audit.appendEncoded("statement.decided", fragment);
    if (i % 100 === 0) await audit.synced(seq);
  }
  await audit.synced(
    audit.append({
      event: "session.end",
      session: "s",
      person: "p",
      environment: "e",
      database: "d",
      reason: "r",
      duration_ms: 1,
    }),
  );
}

function logLines(): string[] {
  return [...searchDirectory(path.join(directory, "audit"), {})].map(({ line }) => line.toString());
}

async function until(isTrue: () => boolean): Promise<void> {
  await vi.waitFor(
    () => {
      expect(isTrue()).toBe(true);
    },
    { timeout: 15_000, interval: 20 },
  );
}

async function untilShipped(shipper: Shipper): Promise<void> {
  await until(() => shipper.shippedSeq === audit.syncedSeq);
}

describe("a shipper", () => {
  it("sends every record once, in order, over files that rotate and are compressed meanwhile", async () => {
    const got: string[] = [];
    const shipper = ship(({ lines }) => {
      got.push(...lines.map(({ line }) => line.toString().trimEnd()));
      return Promise.resolve();
    });
    await write(600);
    keepClosedFiles({
      directory: path.join(directory, "audit"),
      compress: true,
      writtenBeforeMs: undefined,
      maxBytes: undefined,
      shippedSeq: 0,
    });
    await write(300);
    await untilShipped(shipper);
    expect(listAuditFiles(path.join(directory, "audit")).length).toBeGreaterThan(2);
    expect(got).toEqual(logLines().slice(0, got.length));
    expect(got.length).toBe(audit.syncedSeq);
  });

  it("goes on where it was after a restart, and where the files it has yet to read are compressed", async () => {
    const got: number[] = [];
    const send: Send = ({ lines }) => {
      got.push(...lines.map(({ seq }) => seq));
      return Promise.resolve();
    };
    await write(200);
    const first = ship(send);
    await untilShipped(first);
    await first.close();
    await write(600);
    keepClosedFiles({
      directory: path.join(directory, "audit"),
      compress: true,
      writtenBeforeMs: undefined,
      maxBytes: undefined,
      shippedSeq: 0,
    });
    await untilShipped(ship(send));
    expect(got).toEqual(Array.from({ length: audit.syncedSeq }, (_, i) => i + 1));
  });

  it("sends again what was not taken, and nothing after it before", async () => {
    let failures = 3;
    const outcomes: string[] = [];
    const got: number[] = [];
    await write(20);
    const shipper = ship(
      ({ lines }) => {
        if (failures-- > 0) return Promise.reject(new Error("not now"));
        got.push(...lines.map(({ seq }) => seq));
        return Promise.resolve();
      },
      { onOutcome: (outcome) => outcomes.push(outcome) },
    );
    await untilShipped(shipper);
    expect(got).toEqual(Array.from({ length: audit.syncedSeq }, (_, i) => i + 1));
    expect(outcomes.slice(0, 4)).toEqual(["failed", "failed", "failed", "sent"]);
  });

  it("is never ahead of what is on disk here", async () => {
    let synced = 3;
    const got: number[] = [];
    await write(50);
    const shipper = ship(
      ({ lines }) => {
        got.push(...lines.map(({ seq }) => seq));
        return Promise.resolve();
      },
      { syncedSeq: () => synced },
    );
    await until(() => shipper.shippedSeq === 3);
    expect(got).toEqual([1, 2, 3]);
    synced = 5;
    await until(() => shipper.shippedSeq === 5);
    expect(got).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("OTLP", () => {
  it("is what a collector takes: every record with its time, severity, event and its line as the body", async () => {
    const collector = await httpReceiver(() => ({ status: 200 }));
    const secretHeaders = new Map([["authorization", () => new Secret("Bearer x")]]);
    await write(30);
    await untilShipped(ship(otlpSink({ url: `${collector.url}/`, secretHeaders })));
    const [{ path: at, headers } = { path: "", headers: {} }] = collector.taken;
    expect(at).toBe("/v1/logs");
    expect(headers).toMatchObject({
      "content-type": "application/json",
      authorization: "Bearer x",
    });
    const records = collector.taken.flatMap(({ body }) => {
      const { resourceLogs } = JSON.parse(body) as ExportLogs;
      expect(resourceLogs).toHaveLength(1);
      expect(resourceLogs[0]?.resource.attributes).toContainEqual({
        key: "service.name",
        value: { stringValue: "twokey" },
      });
      return resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [];
    });
    const bodies = records.map(({ body }) => body.stringValue);
    expect(bodies).toEqual(logLines().slice(0, bodies.length));
    for (const { body, timeUnixNano, severityNumber, eventName, attributes } of records) {
      const { time, event, hash: sealed, fields } = parseRecord(Buffer.from(body.stringValue));
      expect(hash("sha256", body.stringValue.slice(0, -75))).toBe(sealed);
      expect(timeUnixNano).toMatch(/^\d{19}$/);
      expect(Number(BigInt(timeUnixNano) / 1_000_000n)).toBe(Date.parse(time));
      expect(eventName).toBe(event);
      expect(severityNumber).toBe(fields["action"] === "block" ? 13 : 9);
      expect(attributes.every(({ value }) => Object.keys(value).length === 1)).toBe(true);
    }
    await collector.close();
  });

  it.each([
    ["an error", { status: 503 }],
    [
      "a part only",
      {
        status: 200,
        body: `{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}`,
      },
    ],
    ["another address", { status: 302 }],
  ])("is tried again when the answer is %s", async (_, answer) => {
    let isWell = false;
    const failures: string[] = [];
    const collector = await httpReceiver(() => (isWell ? { status: 200 } : answer));
    await write(3);
    const shipper = ship(otlpSink({ url: collector.url, secretHeaders: new Map() }), {
      onOutcome: (outcome) => failures.push(outcome),
    });
    await until(() => failures.includes("failed"));
    expect(shipper.shippedSeq).toBe(0);
    isWell = true;
    await untilShipped(shipper);
    await collector.close();
  });
});

interface ExportLogs {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeLogs: readonly { readonly logRecords: readonly LogRecord[] }[];
  }[];
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, string>>;
}

interface LogRecord {
  readonly timeUnixNano: string;
  readonly severityNumber: number;
  readonly eventName: string;
  readonly body: { readonly stringValue: string };
  readonly attributes: readonly Attribute[];
}

describe("HTTP", () => {
  it("gets the log's own lines", async () => {
    const receiver = await httpReceiver(() => ({ status: 200 }));
    await write(30);
    await untilShipped(ship(httpSink({ url: receiver.url, secretHeaders: new Map() })));
    const lines = receiver.taken
      .map(({ body }) => body)
      .join("")
      .trimEnd()
      .split("\n");
    expect(lines).toEqual(logLines().slice(0, lines.length));
    await receiver.close();
  });
});

describe("syslog", () => {
  const RFC_5424 =
    /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (\S{1,255}) twokey (\d+) ([\x21-\x7e]{1,32}) - \ufeff(\{.*\})$/su;

  function sink(port: number, ca = pem("ca.crt")): Send {
    return syslogSink({
      host: "localhost",
      port,
      tls: "on",
      ca: () => Buffer.from(ca),
      certificate: () => undefined,
    });
  }

  it("has the form of RFC 5424", () => {
    const line = logLines()[0] ?? "";
    const [, priority, time, , , id, message] =
      RFC_5424.exec(syslogMessage(Buffer.from(line)).toString()) ?? [];
    expect({ priority, time, id, message }).toEqual({
      priority: String(13 * 8 + 6),
      time: parseRecord(Buffer.from(line)).time,
      id: "chain.opened",
      message: line,
    });
  });

  it("is read by octet counts over TLS", async () => {
    const receiver = await syslogReceiver();
    await write(40);
    await untilShipped(ship(sink(receiver.port)));
    const lines = receiver.messages.map((message) => RFC_5424.exec(message)?.[6]);
    expect(lines).toEqual(logLines().slice(0, lines.length));
    await receiver.close();
  });

  it("is sent again when the connection broke before everything was read", async () => {
    let breaks = 2;
    const receiver = await syslogReceiver((socket) => {
      if (breaks-- > 0) socket.once("data", () => socket.destroy());
    });
    await write(40);
    await untilShipped(ship(sink(receiver.port)));
    const seqs = new Set(receiver.messages.map((message) => /"seq":(\d+)/.exec(message)?.[1]));
    expect(seqs.size).toBe(audit.syncedSeq);
    await receiver.close();
  });

  it("goes to nobody whom the authority does not vouch for", async () => {
    const receiver = await syslogReceiver();
    const outcomes: string[] = [];
    await write(3);
    ship(sink(receiver.port, pem("rogue-ca.crt")), {
      onOutcome: (outcome) => outcomes.push(outcome),
    });
    await until(() => outcomes.length > 0);
    expect(outcomes[0]).toBe("failed");
    expect(receiver.messages).toEqual([]);
    await receiver.close();
  });

  it("is taken by rsyslog, every record as it stands", { timeout: 60_000 }, async (context) => {
    if (
      !fs.existsSync("/usr/sbin/rsyslogd") ||
      !fs.existsSync("/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so")
    ) {
      context.skip("no rsyslog with TLS here");
    }
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const file = path.join(directory, "received.log");
    for (const name of ["server.crt", "server.key", "ca.crt"])
      fs.writeFileSync(path.join(directory, name), pem(name));
    fs.writeFileSync(
      path.join(directory, "rsyslog.conf"),
      `global(workDirectory="${directory}" maxMessageSize="4m"
  defaultNetstreamDriverCAFile="${directory}/ca.crt" defaultNetstreamDriverCertFile="${directory}/server.crt"
  defaultNetstreamDriverKeyFile="${directory}/server.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="message" type="string" string="%msg%\\n")
input(type="imtcp" address="127.0.0.1" port="${port}" ruleset="all")
ruleset(name="all") { action(type="omfile" file="${file}" template="message") }
`,
    );
    const server = spawn(
      "/usr/sbin/rsyslogd",
      ["-n", "-f", path.join(directory, "rsyslog.conf"), "-i", path.join(directory, "rsyslog.pid")],
      { stdio: "ignore" },
    );
    try {
      await write(300);
      await until(() => fs.existsSync(path.join(directory, "rsyslog.pid")));
      const shipper = ship(sink(port));
      await untilShipped(shipper);
      const received = (): string[] =>
        fs.existsSync(file)
          ? fs
              .readFileSync(file, "utf8")
              .trimEnd()
              .split("\n")
              .map((line) => line.replace(/^\s*\ufeff?/u, ""))
          : [];
      const expected = logLines().slice(0, shipper.shippedSeq);
      await until(() => received().length >= expected.length);
      expect(new Set(received())).toEqual(new Set(expected));
    } finally {
      server.kill();
    }
  });
});

describe("S3", () => {
  it("keeps checkpoints as objects, locked, which show that the end of the log was cut off", async () => {
    const root = path.join(directory, "s3");
    const server = new S3rver({
      port: 0,
      address: "127.0.0.1",
      silent: true,
      directory: root,
      configureBuckets: [{ name: "vault", configs: [] }],
    });
    const { port } = await server.run();
    const sent: Headers[] = [];
    const realFetch = globalThis.fetch;
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
      sent.push(new Headers(init.headers));
      return realFetch(url, init);
    });
    try {
      const send = s3Sink({
        endpoint: `http://127.0.0.1:${port}/vault`,
        region: "us-east-1",
        prefix: "twokey/",
        accessKeyId: () => new Secret("S3RVER"),
        secretAccessKey: () => new Secret("S3RVER"),
        lock: { mode: "compliance", forMs: 86_400_000 },
        now: Date.now,
      });
      await write(200);
      await untilShipped(ship(send, { records: "checkpoints" }));
      const anchored = path.join(directory, "anchors");
      fs.mkdirSync(anchored);
      for (const name of fs
        .readdirSync(root, { recursive: true, encoding: "utf8" })
        .filter((it) => it.endsWith("_object"))) {
        fs.copyFileSync(path.join(root, name), path.join(anchored, path.basename(name)));
      }
      expect(sent[0]?.get("x-amz-object-lock-mode")).toBe("COMPLIANCE");
      expect(sent[0]?.get("authorization")).toMatch(/x-amz-object-lock-mode/);
      const anchors = loadAnchors(anchored, [PUBLIC_KEY]);
      expect(anchors.length).toBeGreaterThan(2);
      const where = path.join(directory, "audit");
      expect(verifyDirectory(where, { publicKeys: [PUBLIC_KEY], anchors })[0]?.findings).toEqual(
        [],
      );
      const last = listAuditFiles(where).at(-1)?.path ?? "";
      const lines = fs.readFileSync(last, "utf8").split("\n");
      const cut = lines.slice(
        0,
        lines.findIndex((line) => line.includes("chain.checkpoint")),
      );
      const copy = path.join(directory, "copy");
      fs.cpSync(where, copy, { recursive: true });
      fs.writeFileSync(
        path.join(copy, path.basename(last)),
        cut.map((line) => `${line}\n`).join(""),
      );
      expect(
        verifyDirectory(copy, { publicKeys: [PUBLIC_KEY], anchors })[0]?.findings[0]?.kind,
      ).toBe("truncated");
    } finally {
      vi.unstubAllGlobals();
      await server.close();
    }
  });
});
