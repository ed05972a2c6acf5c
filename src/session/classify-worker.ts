import { parentPort } from "node:worker_threads";
import { classify } from "../sql/classify.ts";
import type { ClassifyOptions } from "../sql/classify.ts";
import { warmUp } from "../sql/parser.ts";

/** Text in, decision out: the tree stays here, it is up to ten times the text. */
export interface ClassifyRequest {
  readonly text: string;
  readonly options: ClassifyOptions;
}

const port = parentPort;
if (port === null) throw new Error("classify-worker.ts runs as a worker thread only");

warmUp();
port.on("message", ({ text, options }: ClassifyRequest) => {
  port.postMessage(classify(text, options));
});
port.postMessage("ready");
