import { readFileSync } from "node:fs";
import { Secret } from "../base/secret.ts";
import type { Upstream } from "../config/config.ts";
import type { UpstreamTls } from "./dial.ts";

/** With what its files hold now. */
export function readTls({
  mode,
  caFile,
  certFile,
  keyFile,
  isDirect,
}: Upstream["tls"]): UpstreamTls {
  return {
    mode,
    ca: read(caFile),
    certificate: read(certFile),
    key: keyFile === undefined ? undefined : new Secret(readFileSync(keyFile, "utf8")),
    isDirect,
  };
}

function read(file: string | undefined): string | undefined {
  return file === undefined ? undefined : readFileSync(file, "utf8");
}
