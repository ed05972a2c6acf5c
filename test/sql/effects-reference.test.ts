import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EFFECTS } from "../../src/sql/classification.ts";
import { HAZARDS } from "../../src/sql/hazards.ts";

const page = readFileSync(new URL("../../docs/reference/effects.md", import.meta.url), "utf8");

describe("docs/reference/effects.md", () => {
  it("has every effect, in their order", () => {
    const [table = ""] = page.split("## `destructive`");
    const listed = [...table.matchAll(/^\| `(\w+)` +\|/gm)].map((match) => match[1]);
    expect(listed).toEqual([...EFFECTS]);
  });

  it("has every warning, with its reason and the safer way", () => {
    const [, section = ""] = page.split("## Warnings");
    const listed = [
      ...section.matchAll(/^\| `([\w-]+)` +\| [^|]+ \| ([^|]+?) +\| ([^|]+?) +\|$/gm),
    ].map(([, name, why, safer]) => [name, { why, safer }]);
    expect(listed).toEqual(Object.entries(HAZARDS));
  });
});
