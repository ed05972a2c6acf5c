import { describe, expect, it, vi } from "vitest";
import { CancelKeys } from "../../src/session/cancel-keys.ts";

const FROM = { address: "192.0.2.1", nowMs: 0 };

describe("CancelKeys", () => {
  it("cancels the very session whose key it is (checklist 52)", () => {
    const keys = new CancelKeys();
    const [first, second] = [vi.fn(), vi.fn()];
    keys.issue(7, 0, first);
    // Two upstreams may both have a backend 7.
    const key = keys.issue(7, 0, second);
    expect(keys.cancel(key, FROM)).toBe(true);
    expect(first).not.toHaveBeenCalled();
    expect(second).toHaveBeenCalledOnce();
  });

  it.each([
    [0, 4],
    [2, 32],
  ])("gives protocol 3.%d secrets of %d bytes", (minorVersion, bytes) => {
    expect(new CancelKeys().issue(1, minorVersion, vi.fn()).secret).toHaveLength(bytes);
  });

  it("knows no key of another process, another length, or a session that has ended", () => {
    const keys = new CancelKeys();
    const cancel = vi.fn();
    const key = keys.issue(7, 0, cancel);
    expect(keys.cancel({ ...key, processId: 8 }, FROM)).toBe(false);
    expect(keys.cancel({ ...key, secret: Buffer.alloc(4, key.secret[0]) }, FROM)).toBe(false);
    const longer = Buffer.concat([key.secret, Buffer.alloc(1)]);
    expect(keys.cancel({ ...key, secret: longer }, FROM)).toBe(false);
    keys.revoke(key);
    expect(keys.cancel(key, FROM)).toBe(false);
    expect(cancel).not.toHaveBeenCalled();
  });

  it("does not listen to an address that guesses, for a minute (checklist 52)", () => {
    const keys = new CancelKeys();
    const cancel = vi.fn();
    const key = keys.issue(7, 2, cancel);
    for (let guess = 0; guess < 100; guess += 1) {
      keys.cancel({ ...key, secret: Buffer.alloc(32, guess) }, FROM);
    }
    expect(keys.cancel(key, FROM)).toBe(false);
    expect(keys.cancel(key, { ...FROM, address: "192.0.2.2" })).toBe(true);
    expect(keys.cancel(key, { ...FROM, nowMs: 60_000 })).toBe(true);
    expect(cancel).toHaveBeenCalledTimes(2);
  });
});
