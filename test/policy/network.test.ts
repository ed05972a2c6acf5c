import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isInNetwork, parseIpAddress, parseNetwork } from "../../src/policy/network.ts";

describe("agrees with node:net", () => {
  const looksLike = fc.string({
    unit: fc.constantFrom("0", "1", "9", "25", "ff", ":", "::", ".", "g", "/"),
    maxLength: 14,
  });

  test("on what is an address", () => {
    const candidates = fc.oneof(fc.ipV4(), fc.ipV6(), looksLike);
    fc.assert(
      fc.property(candidates, (text) => {
        let isRead = true;
        try {
          parseIpAddress(text);
        } catch {
          isRead = false;
        }
        expect(isRead).toBe(isIP(text) !== 0);
      }),
      { numRuns: 2000 },
    );
  });

  test("on what is in a network", () => {
    const v4 = fc.record({ of: fc.ipV4(), in: fc.ipV4(), bits: fc.nat(32) });
    const v6 = fc.record({ of: fc.ipV6(), in: fc.ipV6(), bits: fc.nat(128) });
    const near = fc.record({
      of: fc.constant("10.0.0.1"),
      in: fc.nat(255).map((last) => `10.0.0.${last}`),
      bits: fc.integer({ min: 20, max: 32 }),
    });
    fc.assert(
      fc.property(fc.oneof(v4, v6, near), ({ of, in: address, bits }) => {
        const width = of.includes(":") ? 128 : 32;
        const base = (parseIpAddress(of) >> BigInt(width - bits)) << BigInt(width - bits);
        const network = { prefix: base >> BigInt(width - bits), hostBits: BigInt(width - bits) };
        const list = new BlockList();
        list.addSubnet(of, bits, width === 128 ? "ipv6" : "ipv4");
        const expected = list.check(address, width === 128 ? "ipv6" : "ipv4");
        expect(isInNetwork(network, parseIpAddress(address))).toBe(expected);
      }),
    );
  });
});

test.each([
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.0.0.0/8", "::ffff:10.1.1.1", true], // as a dual-stack socket reports it
  ["::ffff:10.0.0.0/104", "10.1.1.1", true],
  ["192.0.2.7", "192.0.2.7", true],
  ["192.0.2.7", "192.0.2.8", false],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["::/0", "203.0.113.9", true],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["fe80::/10", "fe80::1%eth0", true],
])("%s holds %s: %s", (network, address, expected) => {
  expect(isInNetwork(parseNetwork(network), parseIpAddress(address))).toBe(expected);
});

test.each([
  "",
  "10.0.0.1/8",
  "10.0.0.0/33",
  "::/129",
  "10.0.0",
  "010.0.0.1",
  "a/8",
  "1::2::3",
  "10.0.0.0/",
])("refuses %j", (text) => {
  expect(() => parseNetwork(text)).toThrow();
});
