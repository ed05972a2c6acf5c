import { createHmac } from "node:crypto";
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { openSink } from "../../src/alerts/open-sink.ts";
import { parseRetryAfter } from "../../src/alerts/post.ts";
import type { Delivery } from "../../src/alerts/delivery.ts";
import type { SinkConfig } from "../../src/config/alerts.ts";
import {
  startHttpReceiver,
  startSmtpReceiver,
  type HttpReceiver,
  type Mail,
  type Received,
  type SmtpReceiver,
} from "./receivers.ts";
import { ALERT } from "./samples.ts";

const NOW = new Date("2027-03-14T09:27:00.000Z");
const signal = AbortSignal.timeout(60_000);
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function http(...behaviours: Parameters<typeof startHttpReceiver>): Promise<HttpReceiver> {
  const receiver = await startHttpReceiver(...behaviours);
  closers.push(() => receiver.close());
  return receiver;
}

async function smtp(...options: Parameters<typeof startSmtpReceiver>): Promise<SmtpReceiver> {
  const receiver = await startSmtpReceiver(...options);
  closers.push(() => receiver.close());
  return receiver;
}

function send(sink: SinkConfig, env: NodeJS.ProcessEnv, alert = ALERT): Promise<Delivery> {
  return openSink(sink, { now: () => NOW, env })(alert, signal);
}

function only({ received }: HttpReceiver): Received & { readonly json: Record<string, unknown> } {
  const [first] = received;
  if (first === undefined) throw new Error("nothing was received");
  return { ...first, json: JSON.parse(first.body) as Record<string, unknown> };
}

describe("slack", () => {
  const sink: SinkConfig = { kind: "slack", url: { from: "env", name: "HOOK" } };

  test("gets everything as text, and as blocks in which nothing is markup", async () => {
    const receiver = await http();
    const url = "https://twokey.example/r/R-7F3K2M";
    const HOOK = `${receiver.url}/services/T/B/x`;
    expect(await send(sink, { HOOK }, { ...ALERT, url })).toEqual({ kind: "delivered" });
    const { path: where, json, headers } = only(receiver);
    expect(where).toBe("/services/T/B/x");
    expect(headers["content-type"]).toBe("application/json");
    expect(json["text"]).toMatch(/^🛑 alice: DROP DATABASE "shop" needs a second person/);
    expect(json["text"]).toContain("Next: lead: `twokey approve R-7F3K2M`");
    const blocks = JSON.stringify(json["blocks"]);
    expect(blocks).not.toContain("mrkdwn");
    expect(blocks).toContain(`"url":"${url}"`);
  });

  test("nobody is called together, nor led astray, by the name of a table", async () => {
    const receiver = await http();
    const title = 'DROP TABLE "<!channel> <https://evil.example|here> @channel"';
    await send(sink, { HOOK: receiver.url }, { ...ALERT, title });
    expect(only(receiver).json["text"]).toContain(
      'DROP TABLE "&lt;!channel&gt; &lt;https://evil.example|here&gt; @\u200bchannel"',
    );
  });

  test("an address that is none is not shown", async () => {
    const attempt = Promise.resolve().then(() => send(sink, { HOOK: "hooks/secret" }));
    await expect(attempt).rejects.toThrow(/^what was found as the webhook's URL is none$/);
  });
});

describe("webhook", () => {
  const secretKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

  test("posts the alert itself, signed so that anybody with the key can check it", async () => {
    const receiver = await http();
    const sink: SinkConfig = {
      kind: "webhook",
      url: `${receiver.url}/twokey?x=1`,
      secret: { from: "env", name: "KEY" },
    };
    expect(await send(sink, { KEY: secretKey })).toEqual({ kind: "delivered" });
    const { path: where, json, body, headers } = only(receiver);
    expect(where).toBe("/twokey?x=1");
    expect(json).toEqual(ALERT);
    expect(headers).toMatchObject({ "webhook-id": "A-1", "webhook-timestamp": "1805016420" });
    const key = Buffer.from(secretKey.slice("whsec_".length), "base64");
    const signed = createHmac("sha256", key).update(`A-1.1805016420.${body}`).digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${signed}`);
  });

  test("a key without the prefix counts byte for byte, and a new one from the next alert on", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "twokey-sink-"));
    closers.push(() => {
      rmSync(directory, { recursive: true });
      return Promise.resolve();
    });
    const receiver = await http();
    const file = path.join(directory, "key");
    const secret = { from: "file", path: file } as const;
    const attempt = openSink({ kind: "webhook", url: receiver.url, secret }, { now: () => NOW });
    for (const key of ["correct horse", "battery staple"]) {
      writeFileSync(file, `${key}\n`);
      await attempt(ALERT, signal);
      const { body, headers } = receiver.received.at(-1) as Received;
      const signed = createHmac("sha256", key).update(`A-1.1805016420.${body}`).digest("base64");
      expect(headers["webhook-signature"]).toBe(`v1,${signed}`);
    }
  });

  test.each([
    [500, {}, false, undefined],
    [400, {}, true, undefined],
    [404, {}, false, undefined],
    [429, { "retry-after": "7" }, false, 7000],
  ])("%i %j", async (status, headers, isFinal, retryAfterMs) => {
    const receiver = await http([{ status, headers }]);
    const secret = { from: "env", name: "KEY" } as const;
    expect(await send({ kind: "webhook", url: receiver.url, secret }, { KEY: "k" })).toEqual({
      kind: "failed",
      why: `answered ${status} sorry\\u{202e}`,
      isFinal,
      retryAfterMs,
    });
  });
});

test.each([
  ["120", 120_000],
  ["Sun, 14 Mar 2027 09:28:00 GMT", 60_000],
  ["Sun, 14 Mar 2027 09:00:00 GMT", 0],
  ["soon", undefined],
  [null, undefined],
])("Retry-After: %s", (value, expected) => {
  expect(parseRetryAfter(value, NOW.getTime())).toBe(expected);
});

describe("pagerduty", () => {
  const env = { KEY: "R0UT1NGK3Y" };

  test("opens an incident that the same thing joins, and the end of it resolves", async () => {
    const receiver = await http();
    const sink: SinkConfig = {
      kind: "pagerduty",
      url: `${receiver.url}/v2/enqueue`,
      routingKey: { from: "env", name: "KEY" },
    };
    await send(sink, env);
    await send(sink, env, { ...ALERT, status: "resolved" });
    const [trigger, resolve] = receiver.received.map(
      ({ body }) => JSON.parse(body) as Record<string, unknown>,
    );
    expect(trigger).toMatchObject({
      routing_key: "R0UT1NGK3Y",
      event_action: "trigger",
      dedup_key: ALERT.group,
      payload: {
        summary: ALERT.title,
        source: "shop",
        severity: "critical",
        timestamp: ALERT.time,
        group: "production",
        class: "destruction-attempted",
        custom_details: { Rule: "two-people-for-what-is-lost-for-good" },
      },
    });
    expect(resolve).toEqual({
      routing_key: "R0UT1NGK3Y",
      event_action: "resolve",
      dedup_key: ALERT.group,
    });
  });
});

test("alertmanager gets one alert that ends by itself", async () => {
  const receiver = await http();
  await send({ kind: "alertmanager", url: `${receiver.url}/am/` }, {});
  const { path: where, body } = only(receiver);
  expect(where).toBe("/am/api/v2/alerts");
  expect(JSON.parse(body)).toMatchObject([
    {
      labels: {
        alertname: "destruction-attempted",
        severity: "critical",
        environment: "production",
        database: "shop",
        person: "alice",
        request: "R-7F3K2M",
      },
      annotations: { summary: ALERT.title, description: ALERT.next, times: "1" },
      startsAt: ALERT.time,
      endsAt: "2027-03-14T09:42:00.000Z",
    },
  ]);
});

describe("email", () => {
  const MAIL = {
    kind: "email",
    host: "127.0.0.1",
    tls: "off",
    login: undefined,
    from: "twokey@example.com",
    to: ["lead@example.com", "dba@example.com"],
  } as const;

  test("goes to everybody, and can be read without anything but a mail program", async () => {
    const server = await smtp();
    expect(await send({ ...MAIL, port: server.port }, {})).toEqual({ kind: "delivered" });
    const [mail] = server.mails;
    expect(mail?.from).toBe("twokey@example.com");
    expect(mail?.to).toEqual(["lead@example.com", "dba@example.com"]);
    expect(mail?.text).toMatch(/^Message-ID: <A-1@example\.com>\r$/im);
    expect(mail?.text).toMatch(/^Auto-Submitted: auto-generated\r$/im);
    expect(subjectOf(mail)).toBe(`[twokey] critical: ${ALERT.title}`);
    expect(mail?.text).toMatch(/^Request {2}R-7F3K2M\r$/m);
  });

  test("a stranger's text adds no header", async () => {
    const server = await smtp();
    const title = "x\r\nBcc: all@example.com";
    await send({ ...MAIL, port: server.port }, {}, { ...ALERT, title });
    const [head = ""] = (server.mails[0]?.text ?? "").split("\r\n\r\n");
    expect(head).not.toMatch(/^bcc:/im);
    expect(server.mails[0]?.to).toHaveLength(2);
  });

  test("is not sent where encryption can't be had", async () => {
    const server = await smtp({ hideSTARTTLS: true });
    const delivery = await send({ ...MAIL, tls: "starttls", port: server.port }, {});
    expect(delivery).toMatchObject({ kind: "failed", isFinal: false });
    expect(server.mails).toEqual([]);
  });

  test("is not sent to a server that can't prove who it is", async () => {
    const server = await smtp();
    const delivery = await send({ ...MAIL, tls: "starttls", port: server.port }, {});
    expect(delivery).toMatchObject({ kind: "failed", isFinal: false });
    expect(server.mails).toEqual([]);
  });

  test("logs in where it has to; a wrong password may be mended", async () => {
    const server = await smtp({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _session, callback) => {
        if (username === "twokey" && password === "right") callback(null, { user: username });
        else callback(new Error("no"));
      },
    });
    const password = { from: "env", name: "PW" } as const;
    const sink: SinkConfig = { ...MAIL, port: server.port, login: { user: "twokey", password } };
    expect(await send(sink, { PW: "wrong" })).toMatchObject({ kind: "failed", isFinal: false });
    expect(await send(sink, { PW: "right" })).toEqual({ kind: "delivered" });
  });

  test("a mail that the server will never take is not tried again", async () => {
    const server = await smtp({
      onRcptTo: (_address, _session, callback) => {
        callback(Object.assign(new Error("no such user"), { responseCode: 550 }));
      },
    });
    const delivery = await send({ ...MAIL, port: server.port }, {});
    expect(delivery).toMatchObject({ kind: "failed", isFinal: true });
  });

  test("a server that says nothing is left when the time is over", async () => {
    const server = await smtp({ onConnect: () => undefined });
    const attempt = openSink({ ...MAIL, port: server.port }, { now: () => NOW, env: {} });
    const started = performance.now();
    const delivery = await attempt(ALERT, AbortSignal.timeout(200)).catch(
      (error: unknown) => error,
    );
    expect(performance.now() - started).toBeLessThan(5000);
    expect(delivery).not.toEqual({ kind: "delivered" });
  });
});

/** As a mail program shows it (RFC 2047 §4.2). */
function subjectOf(mail: Mail | undefined): string {
  const [, encoded = ""] = /^Subject: ((?:.*)(?:\r\n .*)*)/m.exec(mail?.text ?? "") ?? [];
  return encoded
    .replaceAll(/\?=\s+=\?UTF-8\?Q\?/g, "")
    .replaceAll(/^=\?UTF-8\?Q\?|\?=$/g, "")
    .replaceAll("_", " ")
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
