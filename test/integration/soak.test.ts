import { expect, it } from "vitest";
import { soak } from "../soak/soak.ts";

it("a short share of the soak: nothing differs, nothing leaks, every end has its reason", async () => {
  const figures = await soak({
    minutes: 0.1,
    workers: 3,
    faults: true,
    seed: 42,
    say: () => undefined,
  });
  expect(figures.differing).toEqual([]);
  expect(figures.unexplained).toEqual([]);
  expect(figures.compared).toBeGreaterThan(100);
  expect(figures.descriptorsAfter).toBeLessThanOrEqual(figures.descriptorsBefore);
}, 120_000);
