import { parentPort, workerData } from "node:worker_threads";
import { keepClosedFiles, type KeepJob } from "./audit-keep.ts";

parentPort?.postMessage(keepClosedFiles(workerData as KeepJob));
