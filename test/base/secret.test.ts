import { format, inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Secret } from "../../src/base/secret.ts";

describe("Secret", () => {
  const secret = new Secret("hunter2");

  it.each([
    ["a template", `the password is ${String(secret)}`],
    ["JSON", JSON.stringify({ password: secret })],
    ["inspection", inspect({ deep: { secret } }, { depth: 9, showHidden: true })],
    ["a format", format("%s %o %j", secret, secret, secret)],
    ["an error's text", new Error(`no: ${String(secret)}`).message],
  ])("does not print in %s", (_, text) => {
    expect(text).not.toContain("hunter2");
    expect(text).toContain("[redacted]");
  });

  it("is told to whoever asks for it by name", () => {
    expect(secret.reveal()).toBe("hunter2");
  });
});
