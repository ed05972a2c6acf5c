import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Secret } from "../../src/base/secret.ts";
import {
  formatVerifier,
  makeVerifier,
  mockVerifier,
  parseVerifier,
} from "../../src/auth/verifier.ts";

// Made by PostgreSQL 18: CREATE ROLE r PASSWORD 'pencil'; SELECT rolpassword FROM pg_authid.
const FROM_POSTGRESQL =
  "SCRAM-SHA-256$4096:2SqEr/xLZKQvUG9g0QTm1A==$r73wTbQ0BArRhV0VIt0ugd7dNvbOvgkhisRWTOz0l/Y=:r17tg5XeDomgQMgorLYjHXOhrZUKpZqQ7oNdwMH2AQg=";
const KEY = Buffer.alloc(32, 7).toString("base64");
const SALT = Buffer.alloc(16, 1).toString("base64");

describe("a verifier", () => {
  it("is the server's for the same password and salt", async () => {
    const verifier = parseVerifier(FROM_POSTGRESQL);
    if (verifier === undefined) throw new Error("not parsed");
    expect(formatVerifier(verifier)).toBe(FROM_POSTGRESQL);
    expect(await makeVerifier(new Secret("pencil"), verifier)).toEqual(verifier);
    expect(await makeVerifier(new Secret("pencil "), verifier)).not.toEqual(verifier);
  });

  it("has a salt of its own each time", async () => {
    const [one, other] = [await makeVerifier(new Secret("x")), await makeVerifier(new Secret("x"))];
    expect(one.salt).not.toEqual(other.salt);
    expect(one.storedKey).not.toEqual(other.storedKey);
  });

  it.each([
    ["another hash", `SCRAM-SHA-1$4096:${SALT}$${KEY}:${KEY}`],
    ["an md5 password", "md53175bce1d3201d16594cebf9d7eb3f9d"],
    ["no iterations", `SCRAM-SHA-256$0:${SALT}$${KEY}:${KEY}`],
    ["endless iterations", `SCRAM-SHA-256$99999999:${SALT}$${KEY}:${KEY}`],
    ["an empty salt", `SCRAM-SHA-256$4096:$${KEY}:${KEY}`],
    ["a salt that is no base64", `SCRAM-SHA-256$4096:a-b_$${KEY}:${KEY}`],
    ["a short key", `SCRAM-SHA-256$4096:${SALT}$${KEY}:AAAA`],
    ["a missing key", `SCRAM-SHA-256$4096:${SALT}$${KEY}`],
    ["a line behind it", `SCRAM-SHA-256$4096:${SALT}$${KEY}:${KEY}\n`],
    ["nothing", ""],
  ])("is not parsed from %s", (_, text) => {
    expect(parseVerifier(text)).toBeUndefined();
  });

  it("comes back from its text", () => {
    const bytes = (length: number) =>
      fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000_000 }),
        bytes(16),
        bytes(32),
        bytes(32),
        (...fields) => {
          const [iterations, salt, storedKey, serverKey] = fields;
          const verifier = { iterations, salt, storedKey, serverKey };
          expect(parseVerifier(formatVerifier(verifier))).toEqual(verifier);
        },
      ),
    );
  });

  it("is parsed or not, but never throws", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseVerifier(`SCRAM-SHA-256$4096:${text}`)).toBeUndefined();
      }),
    );
  });
});

describe("the verifier of somebody who doesn't exist", () => {
  const secret = new Secret(Buffer.from("server secret"));

  it("is the same each time, and looks like a real one", async () => {
    const mock = mockVerifier("nobody", secret, 4096);
    expect(mockVerifier("nobody", secret, 4096)).toEqual(mock);
    expect(formatVerifier(mock)).toHaveLength(
      formatVerifier(await makeVerifier(new Secret("x"))).length,
    );
  });

  it("differs by name and by server", () => {
    const { salt } = mockVerifier("nobody", secret, 4096);
    expect(mockVerifier("nobodi", secret, 4096).salt).not.toEqual(salt);
    expect(mockVerifier("nobody", new Secret(Buffer.from("another")), 4096).salt).not.toEqual(salt);
  });
});
