import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const page = readFileSync("docs/explanation/parsers.md", "utf8");
const [, section = ""] = page.split("## The rules, and what shows each");
const rows = [...section.matchAll(/^\| (\d) +\| (.+?) +\| `(.+?)` +\| (.+?) +\|$/gm)].map(
  ([, rule = "", what = "", file = "", title = ""]) => ({ rule, what, file, title }),
);

describe("the rules for the parser", () => {
  it("are all there, each with a test", () => {
    expect([...new Set(rows.map(({ rule }) => rule))]).toEqual(["1", "2", "3", "4", "5", "6"]);
  });

  it.each(rows)("rule $rule, $what: $file", ({ file, title }) => {
    expect(readFileSync(path.join("test", file), "utf8")).toContain(title);
  });

  it("rule 2: nobody gives the process a larger stack, which would hide that an instance is spoilt", () => {
    const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => path.join("src", name));
    const raising = [...sources, "package.json"].filter((file) =>
      /stack[-_]size|stackSizeMb/.test(readFileSync(file, "utf8")),
    );
    expect(raising).toEqual([]);
  });
});
