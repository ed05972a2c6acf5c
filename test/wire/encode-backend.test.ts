import { PassThrough } from "node:stream";
import { parse } from "pg-protocol";
import { describe, expect, it } from "vitest";
import { SQLSTATE } from "../../src/base/errors.ts";
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeErrorResponse,
  encodeNegotiateProtocolVersion,
  encodeNoticeResponse,
  encodeParameterStatus,
  encodeReadyForQuery,
} from "../../src/wire/encode-backend.ts";

/** What a driver's own parser makes of our bytes. */
async function read(...messages: readonly Buffer[]): Promise<Record<string, unknown>[]> {
  const stream = new PassThrough();
  const seen: Record<string, unknown>[] = [];
  const done = parse(stream, (message) => seen.push({ ...message }));
  stream.end(Buffer.concat(messages));
  await done;
  return seen;
}

describe("backend messages that we make", () => {
  it("are read by a driver as what they are", async () => {
    expect(
      await read(
        encodeAuthenticationOk(),
        encodeParameterStatus("client_encoding", "UTF8"),
        encodeBackendKeyData(7, Buffer.of(0, 0, 1, 2)),
        encodeReadyForQuery("T"),
      ),
    ).toMatchObject([
      { name: "authenticationOk" },
      { name: "parameterStatus", parameterName: "client_encoding", parameterValue: "UTF8" },
      { name: "backendKeyData", processID: 7, secretKey: 258 },
      { name: "readyForQuery", status: "T" },
    ]);
  });

  it("carry severity, SQLSTATE, message, detail, hint and position (checklist 56)", async () => {
    const fields = {
      severity: "ERROR",
      sqlstate: SQLSTATE.insufficientPrivilege,
      message: "twokey: no",
      detail: "Rule.",
      hint: "Ask.",
      position: 8,
    } as const;
    const [error, notice] = await read(
      encodeErrorResponse(fields),
      encodeNoticeResponse({ ...fields, severity: "NOTICE" }),
    );
    const told = { code: "42501", detail: "Rule.", hint: "Ask.", position: "8" };
    expect(error).toMatchObject({ name: "error", severity: "ERROR", ...told });
    expect(notice).toMatchObject({
      name: "notice",
      severity: "NOTICE",
      message: "twokey: no",
      ...told,
    });
  });

  it("let nothing from a frontend end a field early or reach a terminal (checklist 56)", () => {
    const message = encodeErrorResponse({
      severity: "ERROR",
      sqlstate: SQLSTATE.syntaxError,
      message: "a\0Hforged hint\u001b[2J\u009b\r\ud800",
    });
    const text = message.toString("utf8", 5);
    expect(text).toContain("Ma?Hforged hint?[2J??\ufffd\0");
    expect(text.endsWith("\0\0")).toBe(true);
  });

  it("tell the whole version that was agreed, and what was declined (checklist 20)", () => {
    const message = encodeNegotiateProtocolVersion(2, ["_pq_.x"]);
    expect(message.readInt32BE(5)).toBe((3 << 16) | 2);
    expect(message.readInt32BE(9)).toBe(1);
    expect(message.toString("latin1", 13)).toBe("_pq_.x\0");
    expect(message.readInt32BE(1)).toBe(message.length - 1);
  });
});
