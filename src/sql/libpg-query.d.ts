/** The emscripten factory inside libpg-query: its public API can neither replace an instance nor silence it. */
declare module "libpg-query/wasm/libpg-query.js" {
  export interface PgQueryModule {
    readonly HEAPU8: Uint8Array;
    getValue(pointer: number, type: "i32"): number;
    UTF8ToString(pointer: number): string;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
    _wasm_parse_plpgsql(text: number): number;
    _wasm_scan(text: number): number;
    _wasm_fingerprint(text: number): number;
    _wasm_free_string(text: number): void;
  }

  const createModule: (options?: {
    print?: (line: string) => void;
    printErr?: (line: string) => void;
  }) => Promise<PgQueryModule>;
  export default createModule;
}
