import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { configSchema } from "../../src/config/schema.ts";

it("docs/reference/doctor.md lists every check that there is, and no other", () => {
  const room = "src/provision";
  const source = readdirSync(room)
    .filter((file) => file.startsWith("check-") || file === "doctor.ts")
    .map((file) => readFileSync(join(room, file), "utf8"))
    .join("");
  const inCode = [...source.matchAll(/check: "([a-z-]+)",\n/g)].map(([, name]) => name);
  const page = readFileSync("docs/reference/doctor.md", "utf8");
  const inDocs = [...page.matchAll(/^\| `([a-z-]+)` /gm)].map(([, name]) => name);
  expect([...inDocs].sort()).toEqual([...new Set(inCode)].sort());
});

it("docs/how-to/close-the-ways-around.md shows databases that a configuration may have", () => {
  const page = readFileSync("docs/how-to/close-the-ways-around.md", "utf8");
  const [, block = ""] = /```yaml\n([^`]*)```/.exec(page) ?? [];
  const { databases } = parse(block) as { databases: unknown };
  expect(configSchema.shape.databases.parse(databases)["shop"]?.logins).toHaveLength(3);
});
