import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EFFECTS } from "../../src/sql/classification.ts";
import { HAZARD_NAMES } from "../../src/sql/hazards.ts";

const page = readFileSync(new URL("../../docs/reference/effects.md", import.meta.url), "utf8");

describe("docs/reference/effects.md", () => {
  it("has every effect, in their order", () => {
    const [table = ""] = page.split("## `destructive`");
    const listed = [...table.matchAll(/^\| `(\w+)` +\|/gm)].map((match) => match[1]);
    expect(listed).toEqual([...EFFECTS]);
  });

  it("has every warning", () => {
    expect(HAZARD_NAMES.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});
