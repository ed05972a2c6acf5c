import { defineConfig } from "vitest/config";

// A worker thread inherits execArgv, so a parser worker started from a test loads TypeScript too. Not `--import tsx`:
// on Node 20 that does not reach into worker threads.
const tsx = import.meta.resolve("tsx/esm/api");
const execArgv = ["--import", `data:text/javascript,import {register} from "${tsx}"; register()`];

const integration = {
  include: ["test/integration/**/*.test.ts"],
  pool: "forks" as const,
  execArgv,
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // Real servers share two cores and fixed limits; one file at a time keeps them honest.
  fileParallelism: false,
};

// With a Docker engine, the integration tests run once more for each of these: TWOKEY_TEST_MAJORS=14,15,16,17.
const majors = (process.env["TWOKEY_TEST_MAJORS"] ?? "").split(",").filter((major) => major !== "");

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          // Under load a test that starts a program needs more than the usual five.
          testTimeout: 20_000,
          include: ["test/**/*.test.ts"],
          exclude: ["test/integration/**", "test/bench/**", "test/clients/**"],
          pool: "forks",
          execArgv,
        },
      },
      { test: { name: "integration", ...integration } },
      ...majors.map((major) => ({
        test: { name: `postgres-${major}`, ...integration, env: { TWOKEY_TEST_MAJOR: major } },
      })),
    ],
  },
});
