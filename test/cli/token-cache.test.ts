import { chmodSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { TokenCache } from "../../src/cli/token-cache.ts";
import { Home } from "./harness.ts";

const owner = { url: "http://127.0.0.1:9188", person: "bob" };
const now = { ms: Date.parse("2026-11-23T12:00:00Z") };

let home: Home;
let cache: TokenCache;
let file: string;
beforeEach(() => {
  home = new Home();
  cache = new TokenCache({ XDG_STATE_HOME: home.directory }, () => now.ms);
  cache.put(owner, "t0ken", "2026-11-23T13:00:00Z");
  const directory = join(home.directory, "twokey", "sign-in");
  file = join(directory, readdirSync(directory)[0] ?? "");
});
afterEach(() => {
  home.remove();
});

it("keeps a token where only its user reads it", () => {
  expect(cache.get(owner)).toBe("t0ken");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(file, "..")).mode & 0o777).toBe(0o700);
});

it("keeps it apart from other people's and other servers'", () => {
  expect(cache.get({ ...owner, person: "alice" })).toBeUndefined();
  expect(cache.get({ ...owner, url: "https://twokey.example" })).toBeUndefined();
});

it("does not use one that has expired, was forgotten, is readable to others, or is no token", () => {
  now.ms += 3600_000;
  expect(cache.get(owner)).toBeUndefined();
  now.ms -= 3600_000;
  chmodSync(file, 0o640);
  expect(cache.get(owner)).toBeUndefined();
  chmodSync(file, 0o600);
  expect(cache.get(owner)).toBe("t0ken");
  writeFileSync(file, "{");
  expect(cache.get(owner)).toBeUndefined();
  cache.put(owner, "another", "2026-11-23T13:00:00Z");
  expect(cache.get(owner)).toBe("another");
  cache.forget(owner);
  expect(cache.get(owner)).toBeUndefined();
});
