import { parentPort } from "node:worker_threads";
import type { VerifyOptions } from "../audit/verify-options.ts";
import { verifyFiles } from "./audit-verify-files.ts";
import type { VerifyJob, VerifyResult } from "./audit-verify-threads.ts";

parentPort?.on("message", ({ chain, file, publicKeys, anchors, from }: VerifyJob) => {
  const options: VerifyOptions = { publicKeys, anchors, from };
  parentPort?.postMessage(verifyFiles(chain, [file], options) satisfies VerifyResult);
});
