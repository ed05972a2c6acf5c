import type { Brand } from "../base/brand.ts";

/** An address as 128 bits; IPv4 stands in ::ffff:0:0/96 (RFC 4291 §2.5.5.2), as a dual-stack socket reports it. */
export type IpAddress = Brand<bigint, "IpAddress">;

/** Addresses that share their first bits, or `local`: the Unix socket. */
export type Network = "local" | { readonly prefix: bigint; readonly hostBits: bigint };

const IPV4_MAPPED = 0xffffn << 32n;

/**
 * Reads `192.0.2.7`, `2001:db8::7` or `::ffff:192.0.2.7`; a zone such as `%eth0` is dropped.
 *
 * @throws Error when it is none of these
 */
export function parseIpAddress(text: string): IpAddress {
  const address = text.replace(/%[\w.-]+$/, "");
  const bits = address.includes(":") ? ipv6Bits(address) : mapped(ipv4Bits(address));
  if (bits === undefined) throw new Error("not an IP address");
  return bits as IpAddress;
}

/**
 * Reads an address, `ADDRESS/PREFIX-LENGTH`, or `local`.
 *
 * @throws Error when it is none of these, or has bits set behind the prefix: one of the two was not meant
 */
export function parseNetwork(text: string): Network {
  if (text === "local") return "local";
  const [, address = "", length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const bits = parseIpAddress(address);
  const longest = address.includes(":") ? 128 : 32;
  const prefixLength = length === undefined ? longest : Number(length);
  if (prefixLength > longest) throw new Error(`prefix longer than ${longest}`);
  const hostBits = BigInt(longest - prefixLength);
  const prefix = bits >> hostBits;
  if (prefix << hostBits !== bits) throw new Error("has bits set behind its prefix");
  return { prefix, hostBits };
}

export function isInNetwork(network: Network, address: IpAddress | undefined): boolean {
  if (network === "local") return address === undefined;
  return address !== undefined && address >> network.hostBits === network.prefix;
}

function mapped(bits: bigint | undefined): bigint | undefined {
  return bits === undefined ? undefined : IPV4_MAPPED | bits;
}

function ipv4Bits(text: string): bigint | undefined {
  // No leading zeros: some readers take them for octal.
  const parts = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/
    .exec(text)
    ?.slice(1)
    .map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function ipv6Bits(text: string): bigint | undefined {
  const tail = /[^:]*\.[^:]*$/.exec(text)?.[0];
  if (tail !== undefined) {
    const v4 = ipv4Bits(tail);
    if (v4 === undefined) return undefined;
    const hex = `${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
    return ipv6Bits(text.slice(0, -tail.length) + hex);
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], rest = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - rest.length;
  // "::" stands for at least one group (RFC 5952 §4.2.2 asks for two; readers accept one).
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array<string>(missing).fill("0"), ...rest];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}
