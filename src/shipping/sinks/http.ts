import type { Send } from "../shipment.ts";
import { post, type PostOptions } from "./post.ts";

/** The log's own lines, byte for byte, one a line (NDJSON). */
export function httpSink(options: Omit<PostOptions, "headers">): Send {
  return async ({ lines }, signal) => {
    const headers = { "content-type": "application/x-ndjson" };
    await post({ ...options, headers }, Buffer.concat(lines.map(({ line }) => line)), signal);
  };
}
