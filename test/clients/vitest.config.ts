import { tmpdir } from "node:os";
import path from "node:path";
import { defineConfig } from "vitest/config";

const tsx = import.meta.resolve("tsx/esm/api");
const execArgv = ["--import", `data:text/javascript,import {register} from "${tsx}"; register()`];

/** Other people's clients against real servers: `npm run test:clients`. Not a part of `npm test`. */
export default defineConfig({
  test: {
    include: ["test/clients/**/*.test.ts", "test/integration/clients/**/*.test.ts"],
    globalSetup: ["test/clients/compatibility-page.ts"],
    env: { TWOKEY_FACTS: path.join(tmpdir(), `twokey-facts-${process.pid}.jsonl`) },
    pool: "forks",
    execArgv,
    testTimeout: 300_000,
    // The first run downloads and compiles.
    hookTimeout: 1_200_000,
    fileParallelism: false,
  },
});
