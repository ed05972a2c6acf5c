import { expect, test } from "vitest";
import { alertFacts } from "../../src/alerts/alert.ts";
import { describe as describeEvent } from "../../src/alerts/describe.ts";
import type { Wording } from "../../src/alerts/words.ts";
import { ALERT, failedLogin, HELD, REFUSED } from "./samples.ts";

const WORDING: Wording = { statements: "summary", requestUrl: undefined };

test("says who, what, where, which rule and what to do next", () => {
  expect(describeEvent(HELD, WORDING)).toEqual({
    status: "firing",
    title: 'alice: DROP TABLE "orders" needs a second person in production',
    who: { person: "alice", roles: ["senior"], address: "10.0.0.7", application_name: "psql" },
    where: { environment: "production", database: "shop" },
    what: {
      statement: 'DROP TABLE "orders"',
      sql_sha256: "fd0ca7112b4eedf9a353f0e0baf22cbd21b2ef9db83999fcb79434ede828835a",
      destructive: true,
    },
    rule: "audit-tables-stay",
    request: "R-7F3K2M",
    next: "lead or dba: `twokey approve R-7F3K2M`, or `twokey reject R-7F3K2M`",
  });
});

test("shows the text of a statement only where that is wanted, and its beginning", () => {
  const sql = `ALTER ROLE alice PASSWORD 'hunter2'; -- ${"🗝".repeat(1000)}`;
  const event = { ...REFUSED, sql };
  expect(JSON.stringify(describeEvent(event, WORDING))).not.toContain("hunter2");
  const { what } = describeEvent(event, { ...WORDING, statements: "text" });
  expect(what?.sql).toContain("hunter2");
  expect(what?.sql?.length).toBeLessThanOrEqual(1000);
  expect(() => encodeURIComponent(what?.sql ?? "")).not.toThrow();
});

test("links the request where there is a page for it", () => {
  const requestUrl = "https://twokey.example/r/{request}";
  expect(describeEvent(HELD, { ...WORDING, requestUrl }).url).toBe(
    "https://twokey.example/r/R-7F3K2M",
  );
  expect(describeEvent(REFUSED, { ...WORDING, requestUrl }).url).toBeUndefined();
});

test("puts no stranger's text on a second line, into a command, or where a terminal obeys it", () => {
  const name = "`reboot`\r\nBcc: all@example.com\u001b[2J\u202e";
  const told = describeEvent(failedLogin(name), WORDING);
  expect(told.title).not.toMatch(/\p{C}/u);
  expect(told.next).not.toContain("reboot");
  const table = { ...REFUSED, summary: `DROP TABLE "${"x".repeat(5000)}"` };
  expect(describeEvent(table, WORDING).title.length).toBeLessThan(300);
});

test("the end of a state resolves it", () => {
  const events = [
    { kind: "upstream.up", upstream: "main" },
    { kind: "audit.available", directory: "/var/lib/twokey/audit" },
  ] as const;
  for (const event of events) expect(describeEvent(event, WORDING).status).toBe("resolved");
});

test("the facts of an alert are the same for everybody", () => {
  expect(alertFacts({ ...ALERT, times: 3, url: "https://twokey.example/r/R-7F3K2M" })).toEqual([
    ["Who", "alice (senior) from 10.0.0.7 psql"],
    ["What", 'DROP DATABASE "shop"'],
    ["Where", "production / shop"],
    ["Rule", "two-people-for-what-is-lost-for-good"],
    ["Request", "R-7F3K2M https://twokey.example/r/R-7F3K2M"],
    ["When", "2027-03-14T09:26:53.000Z"],
    ["Times", "3"],
    ["Alert", "destruction-attempted (critical)"],
    ["Next", "lead: `twokey approve R-7F3K2M`, or `twokey reject R-7F3K2M`"],
  ]);
  expect(alertFacts({ ...ALERT, who: { claimed: "root", address: "192.0.2.1" } })[0]).toEqual([
    "Who",
    'somebody who says to be "root" from 192.0.2.1',
  ]);
});
