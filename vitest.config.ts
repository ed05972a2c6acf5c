import { defineConfig } from "vitest/config";

// A worker thread inherits execArgv, so a parser worker started from a test loads TypeScript too. Not `--import tsx`:
// on Node 20 that does not reach into worker threads.
const tsx = import.meta.resolve("tsx/esm/api");
const execArgv = ["--import", `data:text/javascript,import {register} from "${tsx}"; register()`];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/integration/**", "test/bench/**"],
          pool: "forks",
          execArgv,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          pool: "forks",
          execArgv,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Real servers share two cores and fixed limits; one file at a time keeps them honest.
          fileParallelism: false,
        },
      },
    ],
  },
});
