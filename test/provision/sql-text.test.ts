import { expect, it } from "vitest";
import { provisionSql } from "../../src/provision/provision-sql.ts";
import { identifier, literal } from "../../src/provision/sql-text.ts";

it.each([
  ["plain", '"plain"'],
  ['a"b', '"a""b"'],
])("quotes the name %s", (name, quoted) => {
  expect(identifier(name)).toBe(quoted);
});

it.each([
  ["it's", "'it''s'"],
  ["a\\'b", " E'a\\\\''b'"],
])("quotes the text %s so that it reads the same whatever the settings", (text, quoted) => {
  expect(literal(text)).toBe(quoted);
});

it("lets no name end a DO block, a comment or a place in format()", () => {
  const user = "x$twokey$; DROP DATABASE shop; --\n%s";
  const sql = provisionSql("shop", [
    { user, may: "read_only", purpose: "for a\nb", verifier: undefined },
  ]);
  expect(sql).toContain("$twokey_$");
  expect(sql).toContain("-- x$twokey$; DROP DATABASE shop; -- %s: read_only, for a b");
  expect(sql).toContain("%%s");
});
