import { request as requestHttp, type IncomingMessage, type RequestOptions } from "node:http";
import { request as requestHttps } from "node:https";

/** Metadata and key sets have some kilobytes. */
const MAX_BODY_BYTES = 1_000_000;

/**
 * A small JSON document. Not the global `fetch`: that can't be told of a CA of one's own. Redirects aren't followed.
 *
 * @throws Error when it can't be had in time, whole, and with status 200
 */
export async function fetchJson(
  url: string,
  { ca, timeoutMs }: { readonly ca: Buffer | undefined; readonly timeoutMs: number },
): Promise<Response> {
  const options: RequestOptions = {
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(timeoutMs),
  };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const made = url.startsWith("https:")
      ? requestHttps(url, { ...options, ...(ca !== undefined && { ca }) })
      : requestHttp(url, options);
    made.once("response", resolve).once("error", reject).end();
  });
  const chunks: Buffer[] = [];
  let bodyBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bodyBytes += chunk.length;
    if (bodyBytes > MAX_BODY_BYTES) throw new Error(`${url} answers with too much`);
    chunks.push(chunk);
  }
  if (answer.statusCode !== 200)
    throw new Error(`${url} answers ${answer.statusCode ?? "nothing"}`);
  return new Response(Buffer.concat(chunks), { status: 200 });
}
