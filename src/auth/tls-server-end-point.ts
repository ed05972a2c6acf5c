import { createHash } from "node:crypto";

/**
 * The channel binding `tls-server-end-point` (RFC 5929 §4.1): the certificate's hash, by the hash function of its own
 * signature, with SHA-256 in place of MD5 and SHA-1.
 *
 * @param certificate - DER of the certificate that the server showed in the handshake
 * @returns `undefined` where the signature has no hash function of its own (Ed25519): no channel binding then
 */
export function tlsServerEndPoint(certificate: Buffer): Buffer | undefined {
  const hash = signatureHash(certificate);
  return hash === undefined ? undefined : createHash(hash).update(certificate).digest();
}

type Hash = "sha224" | "sha256" | "sha384" | "sha512";

// Object identifiers in DER, as hex: of signatures (RFC 8017, RFC 5758) …
const SIGNATURES = new Map<string, Hash>([
  ["2a864886f70d010104", "sha256"], // md5WithRSAEncryption
  ["2a864886f70d010105", "sha256"], // sha1WithRSAEncryption
  ["2a864886f70d01010e", "sha224"],
  ["2a864886f70d01010b", "sha256"],
  ["2a864886f70d01010c", "sha384"],
  ["2a864886f70d01010d", "sha512"],
  ["2a8648ce3d0401", "sha256"], // ecdsa-with-SHA1
  ["2a8648ce3d040301", "sha224"],
  ["2a8648ce3d040302", "sha256"],
  ["2a8648ce3d040303", "sha384"],
  ["2a8648ce3d040304", "sha512"],
]);

// … and of hash functions, which RSASSA-PSS names in its parameters.
const RSASSA_PSS = "2a864886f70d01010a";
const HASHES = new Map<string, Hash>([
  ["2b0e03021a", "sha256"], // SHA-1
  ["608648016503040204", "sha224"],
  ["608648016503040201", "sha256"],
  ["608648016503040202", "sha384"],
  ["608648016503040203", "sha512"],
]);

const TAG = { sequence: 0x30, objectIdentifier: 0x06, pssHashAlgorithm: 0xa0 } as const;

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm AlgorithmIdentifier, … } (RFC 5280 §4.1). */
function signatureHash(certificate: Buffer): Hash | undefined {
  const outer = element(certificate, TAG.sequence);
  const toBeSigned = outer && element(outer.content, TAG.sequence);
  const algorithm = toBeSigned && element(toBeSigned.rest, TAG.sequence);
  const identifier = algorithm && element(algorithm.content, TAG.objectIdentifier);
  if (identifier === undefined) return undefined;
  const name = identifier.content.toString("hex");
  return name === RSASSA_PSS ? pssHash(identifier.rest) : SIGNATURES.get(name);
}

/** RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] AlgorithmIdentifier DEFAULT sha1, … } (RFC 8017 §A.2.3). */
function pssHash(parameters: Buffer): Hash | undefined {
  const sequence = element(parameters, TAG.sequence);
  if (sequence === undefined) return undefined;
  const hashAlgorithm = element(sequence.content, TAG.pssHashAlgorithm);
  if (hashAlgorithm === undefined) return "sha256"; // the default is SHA-1
  const algorithm = element(hashAlgorithm.content, TAG.sequence);
  const identifier = algorithm && element(algorithm.content, TAG.objectIdentifier);
  return identifier && HASHES.get(identifier.content.toString("hex"));
}

interface Element {
  readonly content: Buffer;
  readonly rest: Buffer;
}

/** The DER element at the beginning of `bytes`, if it has this tag and is whole. */
function element(bytes: Buffer, tag: number): Element | undefined {
  const [foundTag, first] = bytes;
  if (foundTag !== tag || first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first - 0x80;
  if (lengthBytes > 4 || bytes.length < 2 + lengthBytes) return undefined;
  const start = 2 + lengthBytes;
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes);
  if (first === 0x80 || start + length > bytes.length) return undefined;
  return { content: bytes.subarray(start, start + length), rest: bytes.subarray(start + length) };
}
