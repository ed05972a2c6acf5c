import { expect, it } from "vitest";
import type { UpstreamAddress } from "../../src/upstream/dial.ts";
import { HostHealth } from "../../src/upstream/host-health.ts";

const host = (name: string): UpstreamAddress => ({ kind: "tcp", host: name, port: 5432 });
const [A, B, C] = [host("a"), host("b"), host("c")];

it("keeps the order of the configuration while nothing has failed", () => {
  expect(new HostHealth().order([A, B, C], 0)).toEqual([A, B, C]);
});

it("tries a host that has failed behind the others, for longer each time, at most 30 s", () => {
  const health = new HostHealth();
  let nowMs = 0;
  for (const backoffMs of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    health.failed(A, nowMs);
    expect(health.order([A, B], nowMs + backoffMs - 1)).toEqual([B, A]);
    expect(health.order([A, B], nowMs + backoffMs)).toEqual([A, B]);
    nowMs += backoffMs;
  }
});

it("begins anew once the host was reached", () => {
  const health = new HostHealth();
  health.failed(A, 0);
  health.failed(A, 1000);
  health.reached(A);
  expect(health.order([A, B], 1001)).toEqual([A, B]);
  health.failed(A, 2000);
  expect(health.order([A, B], 3000)).toEqual([A, B]);
});

it("leaves none out when all have failed", () => {
  const health = new HostHealth();
  for (const each of [A, B, C]) health.failed(each, 0);
  expect(health.order([A, B, C], 1)).toEqual([A, B, C]);
});
