import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerGrammar } from "../fuzz/server-verdict.ts";
import { fuzz } from "../fuzz/sql.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let grammar: ServerGrammar;

beforeAll(async () => {
  server = await startPostgres();
  grammar = await ServerGrammar.connect({
    ...server,
    user: server.superuser,
    database: "postgres",
  });
});

afterAll(async () => {
  grammar.close();
  await server.stop();
});

describe("mutated statements", () => {
  // A short share; `npm run fuzz` takes the rest, with seeds of its own.
  it("are read as the server reads them", { timeout: 120_000 }, async () => {
    const report = await fuzz(grammar, { statements: 10_000, seed: 20_261_124 });
    expect(report).toMatchObject({ failures: [], disagreements: [] });
    expect(report.parsed).toBeGreaterThan(1000);
  });
});
