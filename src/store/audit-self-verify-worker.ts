import { parentPort, workerData } from "node:worker_threads";
import { selfVerify, type SelfVerifyJob } from "./audit-self-verify.ts";

parentPort?.postMessage(selfVerify(workerData as SelfVerifyJob));
