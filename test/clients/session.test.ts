import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { note } from "../support/facts.ts";
import type { Login } from "../support/raw-client.ts";
import { CLIENTS, type Client } from "./clients.ts";
import { FEATURES } from "./features.ts";
import { missingFor, prepare, run, TOOLCHAINS, type ToolchainName } from "./toolchains.ts";
import { environmentOf, startPlace, type Place } from "./world.ts";

/** What a client prints, one a line: what it did, and what came of it. */
interface Line {
  readonly feature: string;
  readonly result: unknown;
}

let production: Place;
let development: Place;

beforeAll(async () => {
  [production, development] = await Promise.all([
    startPlace("production"),
    startPlace("development"),
  ]);
});

afterAll(async () => {
  await Promise.all([production.stop(), development.stop()]);
});

for (const name of Object.keys(TOOLCHAINS) as ToolchainName[]) {
  const clients = CLIENTS.filter(({ toolchain }) => toolchain === name);
  if (clients.length === 0) continue;
  const missing = await missingFor(name);
  if (missing !== undefined) {
    for (const client of clients) {
      note({ kind: "left out", client: client.name, reason: missing });
      process.stdout.write(`left out: ${client.name}, as ${missing}\n`);
    }
  }
  describe.skipIf(missing !== undefined)(name, () => {
    let folder: string;

    beforeAll(async () => {
      folder = await prepare(name);
    });

    const tell = async (client: Client, what: string, login: Login): Promise<string[]> => {
      const [program, ...args] = client.command;
      const { status, out, err } = await run(program, [...args, what], {
        cwd: folder,
        env: environmentOf(login),
      });
      if (status !== 0)
        throw new Error(`it ended with ${status}: ${err.slice(-4000)}${out.slice(-1000)}`);
      return out.split("\n").filter((line) => line !== "");
    };

    describe.each(clients)("$name", (client) => {
      let version = "";

      it("a session, directly and through Twokey", async () => {
        await production.renew();
        const direct = await tell(client, "session", production.direct);
        await production.renew();
        const through = await tell(client, "session", production.through);
        expect(through).toEqual(direct);

        const lines = through.map((line) => JSON.parse(line) as Line);
        version = String(lines[0]?.result);
        expect(lines[0]?.feature).toBe("version");
        const features = lines.slice(1).map(({ feature }) => feature);
        expect(Object.keys(FEATURES)).toEqual(expect.arrayContaining(features));
        expect(features).toEqual(expect.arrayContaining(["connect", "queries", "types", "errors"]));
        for (const feature of features) {
          note({ kind: "feature", client: client.name, version, feature });
        }
      });

      it("a refusal", async () => {
        await production.renew();
        const refused = (await tell(client, "refusal", production.through)).map(
          (line) => JSON.parse(line) as Line,
        );
        expect(refused).toEqual([
          {
            feature: "refusal",
            result: {
              sqlstate: "42501",
              message: expect.stringMatching(
                /twokey: .*items.* needs a second person in production/,
              ) as string,
              afterwards: 100,
            },
          },
        ]);
        await development.renew();
        const allowed = await tell(client, "refusal", development.through);
        expect(allowed.map((line) => JSON.parse(line) as Line)).toEqual([
          { feature: "refusal", result: { sqlstate: null, message: null, afterwards: 0 } },
        ]);
        note({ kind: "feature", client: client.name, version, feature: "refusal" });
      });
    });
  });
}
