// TypeScript in a script and in its worker threads: `node --import ./test/support/tsx-threads.mjs SCRIPT`. With
// `--import tsx`, Node 20 reads TypeScript in the main thread only.
import { register } from "tsx/esm/api";

register();
