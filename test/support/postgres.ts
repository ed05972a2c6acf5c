import { randomBytes } from "node:crypto";
import { Secret } from "../../src/base/secret.ts";
import { startEmbeddedPostgres } from "../../src/upstream/embedded-postgres.ts";

/** A real PostgreSQL for one test file. Stop it in `afterAll`. */
export interface TestPostgres {
  readonly host: string;
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  /** The folder of its Unix socket; none in a container. */
  readonly socketDir: string | undefined;
  stop(): Promise<void>;
}

const SUPERUSER = "postgres";

/**
 * The embedded server; with TWOKEY_TEST_MAJOR a container of that major (needs a Docker engine), with
 * TWOKEY_TEST_BINDIR the programs in that folder.
 */
export async function startPostgres({
  settings = {},
}: { readonly settings?: Readonly<Record<string, string>> } = {}): Promise<TestPostgres> {
  const { TWOKEY_TEST_MAJOR: major, TWOKEY_TEST_BINDIR: binDir } = process.env;
  if (major !== undefined) return startContainer(major, settings);
  const password = randomBytes(12).toString("hex");
  const server = await startEmbeddedPostgres({
    superuser: SUPERUSER,
    password: new Secret(password),
    binDir: binDir,
    settings,
  });
  const { host, port, socketDir } = server;
  return { host, port, socketDir, superuser: SUPERUSER, password, stop: () => server.stop() };
}

async function startContainer(
  major: string,
  settings: Readonly<Record<string, string>>,
): Promise<TestPostgres> {
  // Imported here only: it is slow to load, and most runs have no Docker engine.
  const { GenericContainer, Wait } = await import("testcontainers");
  const password = randomBytes(12).toString("hex");
  const container = await new GenericContainer(`postgres:${major}-alpine`)
    .withEnvironment({
      POSTGRES_PASSWORD: password,
      POSTGRES_INITDB_ARGS: "--auth=scram-sha-256 --encoding=UTF8 --locale=C",
      POSTGRES_HOST_AUTH_METHOD: "scram-sha-256",
    })
    .withCommand(
      Object.entries({ fsync: "off", ...settings }).flatMap(([name, value]) => [
        "-c",
        `${name}=${value}`,
      ]),
    )
    .withExposedPorts(5432)
    // The image starts a server for its own set-up first.
    .withWaitStrategy(Wait.forLogMessage("database system is ready to accept connections", 2))
    .start();
  return {
    host: container.getHost(),
    port: container.getMappedPort(5432),
    socketDir: undefined,
    superuser: SUPERUSER,
    password,
    stop: async () => {
      await container.stop();
    },
  };
}
