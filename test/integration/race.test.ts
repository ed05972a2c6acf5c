import { expect, it } from "vitest";
import { race } from "../race/race.ts";

it(
  "gives a single use to one of fifty sessions at two replicas, and loses none when one is killed",
  { timeout: 300_000 },
  async () => {
    const kills = (round: number): boolean => round % 6 === 0;
    const outcome = await race({ rounds: 12, sessions: 50, kills });
    const { successes } = outcome;
    expect(Object.keys(successes).every((count) => count === "0" || count === "1")).toBe(true);
    // Where a replica was killed with the use in its hand, nobody was told.
    expect(successes[1]).toBeGreaterThanOrEqual(10);
    expect(outcome).toMatchObject({
      ...{ rounds: 12, kills: 2, ranTwice: [], ranNever: [], usedTwice: [], withoutRecord: [] },
    });
  },
);
