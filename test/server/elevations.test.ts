import { expect, test } from "vitest";
import type { Request } from "../../src/approvals/request.ts";
import type { RequestStore } from "../../src/approvals/request-store.ts";
import { Elevations } from "../../src/server/elevations.ts";
import { openLog } from "../../src/telemetry/log.ts";

const CAROL = { kind: "person", name: "carol", roles: ["junior", "on-call"] } as const;
const PLACE = { database: "shop", serverDatabase: "shop", environment: "production" };

test("a role ends by itself, and is counted from its use, also after a restart", async () => {
  const clock = { now: new Date("2026-11-24T12:00:00Z") };
  const used = {
    id: "R-000001",
    asked: {
      requester: "carol",
      environment: "production",
      database: "shop",
      rule: "lend",
      access: { role: "senior", seconds: 600 },
    },
    state: { kind: "used" },
    uses: [{ usedAt: "2026-11-24T11:55:00Z" }],
  } as unknown as Request;
  const store = {
    list: () => Promise.resolve({ requests: [used], next: undefined }),
    subscribe: () => () => undefined,
  } as unknown as RequestStore;
  const elevations = new Elevations({
    offers: [{ name: "lend", role: "senior", forRoles: ["junior"] }],
    store,
    registry: () => ({}) as never,
    audit: undefined as never,
    instance: "test",
    log: openLog({ level: "silent" }),
    now: () => clock.now,
  });
  await elevations.start();
  const first = elevations.asOfNow(CAROL, PLACE);
  expect(first).toEqual({ ...CAROL, roles: ["senior", "on-call"], elevatedTo: ["senior"] });
  expect(elevations.asOfNow(CAROL, PLACE)).toBe(first);
  expect(elevations.asOfNow({ ...CAROL, name: "alice" }, PLACE).roles).toEqual(CAROL.roles);
  for (const elsewhere of [{ database: "shop2" }, { environment: "staging" }]) {
    expect(elevations.asOfNow(CAROL, { ...PLACE, ...elsewhere })).toBe(CAROL);
  }
  clock.now = new Date("2026-11-24T12:05:00Z");
  expect(elevations.asOfNow(CAROL, PLACE)).toBe(CAROL);
  await elevations.close();
});
