import { describe, expect, it, vi } from "vitest";
import { CancelKeys } from "../../src/session/cancel-keys.ts";

describe("CancelKeys", () => {
  it("cancels the very session whose key it is (checklist 52)", () => {
    const keys = new CancelKeys();
    const [first, second] = [vi.fn(), vi.fn()];
    keys.issue(7, 0, first);
    // Two upstreams may both have a backend 7.
    const key = keys.issue(7, 0, second);
    expect(keys.cancel(key)).toBe(true);
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
    expect(keys.cancel({ ...key, processId: 8 })).toBe(false);
    expect(keys.cancel({ ...key, secret: Buffer.alloc(4, key.secret[0]) })).toBe(false);
    expect(keys.cancel({ ...key, secret: Buffer.concat([key.secret, Buffer.alloc(1)]) })).toBe(
      false,
    );
    keys.revoke(key);
    expect(keys.cancel(key)).toBe(false);
    expect(cancel).not.toHaveBeenCalled();
  });
});
