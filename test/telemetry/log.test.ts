import { expect, it } from "vitest";
import { Secret } from "../../src/base/secret.ts";
import { TwokeyError, SQLSTATE } from "../../src/base/errors.ts";
import { openLog, type Log } from "../../src/telemetry/log.ts";

function logInto(lines: string[]): Log {
  return openLog({ level: "info" }, { write: (line: string) => void lines.push(line) });
}

it("writes one JSON object a line, with level and time in words", () => {
  const lines: string[] = [];
  const log = logInto(lines);
  log.info({ port: 6543 }, "listening");
  log.debug("not at this level");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toEqual({
    level: "info",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
    port: 6543,
    msg: "listening",
  });
});

it("prints no secret, by its type or by its name", () => {
  const lines: string[] = [];
  const log = logInto(lines);
  log.info({ credential: new Secret("hunter2"), password: "hunter2", peer: { token: "hunter2" } });
  expect(lines.join()).not.toContain("hunter2");
  expect(lines.join()).toContain("[redacted]");
});

it("tells an error's type, SQLSTATE, stack and causes, but no other member of it", () => {
  const lines: string[] = [];
  const driverError = Object.assign(new Error("duplicate key"), {
    code: "23505",
    detail: "Key (card)=(4111) already exists.",
  });
  driverError.cause = driverError;
  logInto(lines).error({
    err: new TwokeyError(SQLSTATE.ioError, "not recorded", { cause: driverError }),
  });
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    err: {
      type: "TwokeyError",
      sqlstate: "58030",
      stack: expect.stringContaining("log.test.ts") as string,
      cause: { message: "duplicate key", code: "23505" },
    },
  });
  expect(lines.join()).not.toContain("4111");
});
