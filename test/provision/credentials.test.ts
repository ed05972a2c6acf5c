import { describe, expect, it } from "vitest";
import type { Database, Login, Upstream } from "../../src/config/config.ts";
import { loginOf } from "../../src/provision/credentials.ts";
import { production } from "../policy/situations.ts";

const own = { name: "main", user: "twokey", password: undefined } as Upstream;
const login = (user: string, ...roles: string[]): Login => ({
  roles,
  user,
  password: { from: "env", name: user.toUpperCase() },
  may: "read_only",
});

describe("loginOf", () => {
  it.each<[what: string, roles: string[], logins: Login[], user: string | undefined]>([
    ["the upstream's user where there are no logins", ["junior"], [], "twokey"],
    ["the login of the role", ["junior"], [login("a", "senior"), login("b", "junior")], "b"],
    [
      "the first of several",
      ["senior", "junior"],
      [login("a", "junior"), login("b", "senior")],
      "a",
    ],
    ["nobody where no login is for a role", ["lead"], [login("a", "junior")], undefined],
    ["nobody without roles", [], [login("a", "junior")], undefined],
  ])("is %s", (_, roles, logins, user) => {
    const database: Database = {
      upstream: "main",
      dialect: "postgresql",
      trustsVolatility: false,
      place: production,
      neighbours: [],
      logins,
    };
    const found = loginOf({ kind: "person", name: "x", roles }, database, own);
    expect(found?.user).toBe(user);
  });
});
