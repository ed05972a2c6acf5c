import { describe, expect, it } from "vitest";
import { ConnectionRefused } from "../../src/base/errors.ts";
import { asSetStatement, startupSettings } from "../../src/session/startup-settings.ts";

function settings(options: string): string[] {
  return startupSettings(new Map([["options", options]])).map(
    ({ name, value }) => `${name}=${value}`,
  );
}

describe("startupSettings", () => {
  it.each([
    ["-c geqo=off", ["geqo=off"]],
    ["-cgeqo=off", ["geqo=off"]],
    ["--geqo=off", ["geqo=off"]],
    ["-c search_path=a,b  --work-mem=1MB", ["search_path=a,b", "work_mem=1MB"]],
    [String.raw`-c application_name=two\ words`, ["application_name=two words"]],
    [String.raw`-c x.y=a\\b`, [String.raw`x.y=a\b`]],
    ["-c Standard_Conforming_Strings=off", ["standard_conforming_strings=off"]],
    ["-c a=b=c", ["a=b=c"]],
    ["", []],
  ])("reads options as the server does: %s (checklist 18)", (options, expected) => {
    expect(settings(options)).toEqual(expected);
  });

  it.each(["-e", "-W 30", "-c", "-c novalue", "--", "-f s", "word"])("refuses %s", (options) => {
    expect(() => settings(options)).toThrow(ConnectionRefused);
  });

  it("takes parameters that are settings, and options after them, as the server applies them", () => {
    const parameters = new Map([
      ["user", "alice"],
      ["database", "shop"],
      ["options", "-c datestyle=German"],
      ["datestyle", "ISO"],
    ]);
    expect(startupSettings(parameters)).toEqual([
      { name: "datestyle", value: "ISO" },
      { name: "datestyle", value: "German" },
    ]);
  });

  it("quotes whatever is in it", () => {
    expect(asSetStatement({ name: `a".b`, value: "x'; DROP TABLE t; --" })).toBe(
      `SET "a"""."b" TO 'x''; DROP TABLE t; --'`,
    );
  });
});
