import { readFileSync } from "node:fs";

/** As in package.json, which lies two folders up from here, built or not. */
export function version(): string {
  const url = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(url, "utf8")) as { version: string }).version;
}
