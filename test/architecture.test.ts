import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const SRC = "src";
/** Pure rooms may hash and verify, print their own values, and no more of Node's. */
const PURE = ["base", "wire", "sql", "policy", "approvals", "audit"];
const PURE_MAY = ["node:crypto", "node:util"];

interface Import {
  readonly file: string;
  /** A room, `node:x`, or a package; for a file in the same room, that file. */
  readonly what: string;
  readonly isSameRoom: boolean;
}

const rooms = readdirSync(SRC, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((name) => /(?<!\.d)\.ts$/.test(name))
  .sort();
const order = [...readFileSync(join(SRC, "README.md"), "utf8").matchAll(/^([a-z]+)\/ {2,}/gm)].map(
  ([, room = ""]) => room,
);
const imports = files.flatMap(importsOf);

describe("the map in src/README.md", () => {
  it("has every room", () => {
    expect([...order].sort()).toEqual([...rooms].sort());
  });
});

describe.each(rooms)("%s", (room) => {
  const allowed = lawOf(room);
  const used = importedBy(room);

  it("imports what its README allows, and allows nothing that it doesn't import", () => {
    const forbidden = used.filter((what) => !allowed.includes(what));
    const unused = allowed.filter((what) => !used.includes(what));
    expect({ forbidden, unused }).toEqual({ forbidden: [], unused: [] });
  });

  it("imports only from rooms above it", () => {
    const above = order.slice(0, order.indexOf(room));
    expect(used.filter((what) => rooms.includes(what) && !above.includes(what))).toEqual([]);
  });
});

describe.each(PURE)("%s", (room) => {
  it("is pure", () => {
    const ofNode = importedBy(room).filter((what) => what.startsWith("node:"));
    expect(ofNode.filter((what) => !PURE_MAY.includes(what))).toEqual([]);
  });
});

describe("the files", () => {
  it("import in no circles", () => {
    expect(circles()).toEqual([]);
  });

  it("leave main.ts to cli", () => {
    const main = imports.filter(({ file }) => file === "main.ts");
    expect(new Set(main.map(({ what }) => what))).toEqual(new Set(["cli"]));
  });
});

/** The last line of a room's README, without its beginning. */
function lawOf(room: string): readonly string[] {
  const lines = readFileSync(join(SRC, room, "README.md"), "utf8")
    .trimEnd()
    .split("\n");
  const law = /^May import: (.+)$/.exec(lines.at(-1) ?? "");
  if (law === null) throw new Error(`the last line of ${room}/README.md is not its law`);
  const allowed = (law[1] ?? "").split(", ");
  return allowed[0] === "nothing" ? [] : allowed;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), "utf8");
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith(".")) return { file, what: moduleOf(fileName), isSameRoom: false };
    const target = relative(SRC, join(SRC, dirname(file), fileName));
    const isSameRoom = roomOf(target) === roomOf(file);
    return { file, what: isSameRoom ? target : roomOf(target), isSameRoom };
  });
}

/** What is not of the room itself. */
function importedBy(room: string): readonly string[] {
  const foreign = imports.filter(({ file, isSameRoom }) => roomOf(file) === room && !isSameRoom);
  return [...new Set(foreign.map(({ what }) => what))];
}

function roomOf(file: string): string {
  return file.split("/")[0] ?? "";
}

function moduleOf(specifier: string): string {
  if (specifier.startsWith("node:")) return specifier;
  const [scope = "", name = ""] = specifier.split("/");
  return scope.startsWith("@") ? `${scope}/${name}` : scope;
}

/** Between rooms there can be none, since each imports from above only; so only files of one room are asked about. */
function circles(): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start !== -1) found.push([...path.slice(start), file].join(" -> "));
    if (start !== -1 || done.has(file)) return;
    for (const { what, isSameRoom, file: from } of imports) {
      if (from === file && isSameRoom) visit(what, [...path, file]);
    }
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}
