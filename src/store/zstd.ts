import zlib from "node:zlib";

interface Zstd {
  readonly compress: (bytes: Uint8Array, level: number) => Uint8Array;
  /** @throws Error for what is no whole frame */
  readonly decompress: (frame: Uint8Array) => Uint8Array;
}

/** Zstandard (RFC 8878): Node's own from 22.15 on, before that the same library in WebAssembly. */
export const zstd: Zstd = builtIn() ?? (await inWebAssembly());

function builtIn(): Zstd | undefined {
  const { zstdCompressSync, zstdDecompressSync, constants } = zlib as Partial<NewerZlib>;
  const level = constants?.ZSTD_c_compressionLevel;
  if (!zstdCompressSync || !zstdDecompressSync || level === undefined) return undefined;
  return {
    compress: (bytes, value) =>
      // The length goes into the frame's header, as whoever reads it in WebAssembly needs it.
      zstdCompressSync(bytes, { params: { [level]: value }, pledgedSrcSize: bytes.length }),
    decompress: (frame) => zstdDecompressSync(frame),
  };
}

async function inWebAssembly(): Promise<Zstd> {
  const { init, compress, decompress } = await import("@bokuweb/zstd-wasm");
  await init();
  return { compress, decompress: (frame) => decompress(frame) };
}

/** What later releases of Node have. */
interface NewerZlib {
  readonly zstdCompressSync: (
    bytes: Uint8Array,
    options: { readonly params: Record<number, number>; readonly pledgedSrcSize: number },
  ) => Buffer;
  readonly zstdDecompressSync: (bytes: Uint8Array) => Buffer;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
}
