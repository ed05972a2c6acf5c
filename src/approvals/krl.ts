import { Malformed } from "./malformed.ts";
import { SshReader } from "./ssh-wire.ts";

/**
 * A key revocation list as `ssh-keygen -k` writes it (OpenSSH, PROTOCOL.krl): a magic, a header, and sections of whole
 * keys, their hashes, and certificates by serial number or key id. A critical part that is not known makes the whole
 * list no use, since it might revoke something.
 */
export interface Krl {
  /** Of whole keys: their blobs, in hex. */
  readonly keys: ReadonlySet<string>;
  /** Of a key's blob, in hex. */
  readonly sha1: ReadonlySet<string>;
  readonly sha256: ReadonlySet<string>;
  readonly certificates: readonly RevokedCertificates[];
}

export interface RevokedCertificates {
  /** The authority's key in hex; `undefined` for any. */
  readonly authority: string | undefined;
  /** From the first to the last, both included. */
  readonly serials: readonly { readonly from: bigint; readonly to: bigint }[];
  readonly keyIds: ReadonlySet<string>;
}

const MAGIC = Buffer.from("SSHKRL\n\0", "latin1");
const VERSION = 1;

export function isKrl(bytes: Buffer): boolean {
  return bytes.subarray(0, 6).equals(MAGIC.subarray(0, 6));
}

/** @throws Malformed for anything but a whole list of which every critical part is known */
export function parseKrl(bytes: Buffer): Krl {
  const reader = new SshReader(bytes, "revocation list");
  if (!reader.take(MAGIC.length).equals(MAGIC)) throw new Malformed("not a revocation list");
  const version = reader.uint32();
  if (version !== VERSION) throw new Malformed(`revocation list of version ${version}`);
  reader.take(24); // number, date and flags
  reader.string(); // reserved
  reader.string(); // comment
  const keys = new Set<string>();
  const sha1 = new Set<string>();
  const sha256 = new Set<string>();
  const certificates: RevokedCertificates[] = [];
  while (!reader.isAtEnd()) {
    const type = reader.byte();
    const section = reader.string();
    switch (type) {
      case SECTION.certificates:
        certificates.push(parseCertificates(section));
        break;
      case SECTION.keys:
        readHexes(section, keys);
        break;
      case SECTION.sha1:
        readHexes(section, sha1, 20);
        break;
      case SECTION.sha256:
        readHexes(section, sha256, 32);
        break;
      case SECTION.extension:
        refuseCritical(section);
        break;
      default:
        throw new Malformed(`revocation list has a section of an unknown type (${type})`);
    }
  }
  return { keys, sha1, sha256, certificates };
}

const SECTION = { certificates: 1, keys: 2, sha1: 3, sha256: 5, extension: 255 } as const;

const OF_CERTIFICATES = {
  serials: 0x20,
  serialRange: 0x21,
  serialBitmap: 0x22,
  keyIds: 0x23,
  extension: 0x39,
} as const;

function parseCertificates(section: Buffer): RevokedCertificates {
  const reader = new SshReader(section, "revocation list");
  const authority = reader.string();
  reader.string(); // reserved
  const serials: { from: bigint; to: bigint }[] = [];
  const keyIds = new Set<string>();
  while (!reader.isAtEnd()) {
    const type = reader.byte();
    const part = new SshReader(reader.string(), "revocation list");
    switch (type) {
      case OF_CERTIFICATES.serials:
        while (!part.isAtEnd()) {
          const serial = part.uint64();
          serials.push({ from: serial, to: serial });
        }
        break;
      case OF_CERTIFICATES.serialRange:
        serials.push({ from: part.uint64(), to: part.uint64() });
        part.end();
        break;
      case OF_CERTIFICATES.serialBitmap: {
        const offset = part.uint64();
        serials.push(...serialsOf(offset, part.mpint()));
        part.end();
        break;
      }
      case OF_CERTIFICATES.keyIds:
        while (!part.isAtEnd()) keyIds.add(part.string().toString("latin1"));
        break;
      case OF_CERTIFICATES.extension:
        refuseCriticalPart(part);
        break;
      default:
        throw new Malformed(`revocation list has certificates of an unknown kind (${type})`);
    }
  }
  const isForAny = authority.length === 0;
  return { authority: isForAny ? undefined : authority.toString("hex"), serials, keyIds };
}

/** Bit i of the number stands for the serial `offset + i`. */
function serialsOf(offset: bigint, bitmap: Buffer): { from: bigint; to: bigint }[] {
  const serials: { from: bigint; to: bigint }[] = [];
  for (let bit = 0; bit < bitmap.length * 8; bit++) {
    const byte = bitmap[bitmap.length - 1 - (bit >> 3)] ?? 0;
    if ((byte & (1 << (bit & 7))) === 0) continue;
    const serial = offset + BigInt(bit);
    serials.push({ from: serial, to: serial });
  }
  return serials;
}

function readHexes(section: Buffer, into: Set<string>, length?: number): void {
  const reader = new SshReader(section, "revocation list");
  while (!reader.isAtEnd()) {
    const bytes = length === undefined ? reader.string() : reader.fixed(length);
    into.add(bytes.toString("hex"));
  }
}

function refuseCritical(section: Buffer): void {
  refuseCriticalPart(new SshReader(section, "revocation list"));
}

function refuseCriticalPart(reader: SshReader): void {
  const name = reader.text();
  const isCritical = reader.byte() !== 0;
  reader.string();
  reader.end();
  if (isCritical) throw new Malformed(`revocation list has an unknown critical extension ${name}`);
}
