import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { Holds } from "../../src/session/holds.ts";

const NOTICE = Buffer.from("notice");

function attached(): { holds: Holds; told: Buffer[] } {
  const told: Buffer[] = [];
  const holds = new Holds();
  holds.attach({ canHold: true, tell: (message) => told.push(message) });
  return { holds, told };
}

const untilAborted = async (signal: AbortSignal): Promise<string> => {
  if (!signal.aborted) await once(signal, "abort");
  return "gave up";
};

describe("Holds", () => {
  it("can't hold before there is a wire to tell about it", () => {
    expect(new Holds().isPossible).toBe(false);
  });

  it("tells the frontend, then waits for what is waited for", async () => {
    const { holds, told } = attached();
    const held = await holds.hold({ notice: NOTICE, seconds: 60 }, () => Promise.resolve("signed"));
    expect(held).toEqual({ value: "signed", end: undefined });
    expect(told).toEqual([NOTICE]);
    expect(holds.isHolding).toBe(false);
  });

  it.each([
    ["a CancelRequest", (holds: Holds) => holds.cancel(), "canceled"],
    [
      "a frontend that leaves",
      (holds: Holds) => {
        holds.leave();
      },
      "left",
    ],
  ])("is ended by %s", async (_, act, end) => {
    const { holds } = attached();
    const held = holds.hold({ notice: NOTICE, seconds: 60 }, untilAborted);
    act(holds);
    expect(await held).toEqual({ value: "gave up", end });
  });

  it("is ended by its time limit", async () => {
    const { holds } = attached();
    const held = await holds.hold({ notice: NOTICE, seconds: 0.01 }, untilAborted);
    expect(held.end).toBe("timed_out");
  });

  it("does not begin for a frontend that has left already", async () => {
    const { holds } = attached();
    holds.leave();
    expect((await holds.hold({ notice: NOTICE, seconds: 60 }, untilAborted)).end).toBe("left");
  });

  it("leaves a CancelRequest to the upstream where nothing waits", () => {
    expect(attached().holds.cancel()).toBe(false);
  });
});
