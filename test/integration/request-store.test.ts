import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addSeconds } from "../../src/approvals/instant.ts";
import type { ChangeNotice } from "../../src/approvals/request-store.ts";
import { Secret } from "../../src/base/secret.ts";
import {
  openPostgresRequestStore,
  type PostgresStoreConnection,
} from "../../src/store/requests-postgres.ts";
import { ASKED, NOW } from "../approvals/people.ts";
import { describeRequestStore, MAX_OPEN } from "../store/request-store.contract.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let connection: PostgresStoreConnection;

beforeAll(async () => {
  server = await startPostgres();
  connection = {
    host: server.host,
    port: server.port,
    user: server.superuser,
    password: new Secret(server.password),
    database: "postgres",
    schema: "twokey",
    tls: false,
  };
});
afterAll(async () => {
  await server.stop();
});

async function run(statement: string): Promise<void> {
  const { host, port, user, database, schema } = connection;
  const client = new pg.Client({
    ...{ host, port, user, database, password: server.password },
    options: `-c search_path=${schema}`,
  });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

describe("request store in PostgreSQL", () => {
  describeRequestStore({
    open: () => openPostgresRequestStore({ connection, maxOpenPerRequester: MAX_OPEN }),
    clear: () => run("drop schema if exists twokey cascade"),
    tamper: run,
  });

  it("can be opened by many replicas at the same moment", async () => {
    await run("drop schema if exists twokey cascade");
    const stores = await Promise.all(
      Array.from({ length: 6 }, () =>
        openPostgresRequestStore({ connection, maxOpenPerRequester: MAX_OPEN }),
      ),
    );
    await Promise.all(stores.map((store) => store.close()));
  });

  it.each(["read committed", "serializable"])(
    "stands a rush of equals when %s",
    async (isolation) => {
      await run("drop schema if exists twokey cascade");
      await run(`alter database postgres set default_transaction_isolation = '${isolation}'`);
      const store = await openPostgresRequestStore({ connection, maxOpenPerRequester: MAX_OPEN });
      const times = { now: NOW, expiresAt: addSeconds(NOW, 60) };
      await Promise.all(Array.from({ length: 100 }, () => store.openOrJoin(ASKED, times)));
      const { requests } = await store.list({ limit: 5 });
      await store.close();
      await run("alter database postgres reset default_transaction_isolation");
      expect(requests.map(({ timesAsked }) => timesAsked)).toEqual([100]);
    },
  );

  it("hears of changes again after its connection was lost", async () => {
    const store = await openPostgresRequestStore({ connection, maxOpenPerRequester: MAX_OPEN });
    const heard = new Promise<ChangeNotice>((resolve) => {
      store.subscribe(resolve);
    });
    await run(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'twokey request store'",
    );
    expect(await heard).toEqual({ kind: "unknown" });
    expect(await store.list({ limit: 1 })).toMatchObject({ requests: [] });
    await store.close();
  });

  it("says that it is unavailable when the server is", async () => {
    const nowhere = { ...connection, port: 1 };
    await expect(
      openPostgresRequestStore({ connection: nowhere, maxOpenPerRequester: MAX_OPEN }),
    ).rejects.toThrow("request store can't be opened");
  });
});
