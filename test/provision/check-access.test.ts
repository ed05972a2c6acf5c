import { describe, expect, it } from "vitest";
import { checkAccess } from "../../src/provision/check-access.ts";
import type { HbaRule, RoleFact } from "../../src/provision/server-facts.ts";

const role = (name: string, more: Partial<RoleFact> = {}): RoleFact => ({
  name,
  isSuperuser: false,
  canLogin: true,
  canCreateRole: false,
  canCreateDatabase: false,
  canReplicate: false,
  bypassesRowSecurity: false,
  mightyGroups: [],
  isOwner: false,
  writable: [],
  creatable: [],
  definers: [],
  ...more,
});
const ROLES = [
  role("boss", { isSuperuser: true }),
  role("report"),
  role("twokey"),
  role("group", { canLogin: false }),
];

/** As pg_hba.conf writes it, with the netmask apart. */
function hba(line: string, index: number): HbaRule {
  const [type = "", databases = "", users = "", ...rest] = line.split(" ");
  const method = rest.pop() ?? "";
  const [address = null, netmask = null] = rest;
  return {
    line: index + 1,
    file: "pg_hba.conf",
    type,
    databases: databases.split(","),
    users: users.split(","),
    address,
    netmask,
    method,
  };
}

const checksOf = (...lines: readonly string[]): string[] =>
  checkAccess({
    where: "upstream main",
    rules: lines.map(hba),
    roles: ROLES,
    own: ["twokey"],
    databases: ["shop"],
  }).map(({ check, severity }) => `${check} ${severity}`);

const ONE = "10.0.0.5 255.255.255.255";
const MANY = "10.0.0.0 255.0.0.0";
const ANY = "0.0.0.0 0.0.0.0";

describe("checkAccess", () => {
  it.each<[why: string, lines: string[], found: string[]]>([
    ["a local line is not our matter", ["local all all scram-sha-256"], []],
    ["nor is this machine", ["host all all 127.0.0.1 255.255.255.255 scram-sha-256"], []],
    ["but trust is, anywhere", ["local all all trust"], ["login-without-password critical"]],
    ["Twokey from one address", [`hostssl shop twokey ${ONE} scram-sha-256`], []],
    [
      "Twokey from many",
      [`hostssl shop twokey ${MANY} scram-sha-256`],
      ["open-to-many-addresses medium"],
    ],
    ["without TLS", [`host shop twokey ${ONE} scram-sha-256`], ["unencrypted-way high"]],
    ["others from one address", [`hostssl shop report ${ONE} scram-sha-256`], ["way-around high"]],
    ["a superuser among all", [`hostssl all all ${ONE} scram-sha-256`], ["way-around critical"]],
    [
      "a superuser in whichever database",
      [`hostssl other boss ${ONE} scram-sha-256`],
      ["way-around critical"],
    ],
    ["others in another database", [`hostssl other report ${MANY} scram-sha-256`], []],
    [
      "a group may be anybody",
      [`hostssl shop +group ${ONE} scram-sha-256`],
      ["way-around critical"],
    ],
    [
      "a pattern may be anybody",
      [`hostssl shop /^r ${ONE} scram-sha-256`],
      ["way-around critical"],
    ],
    ["a group that can't log in", [`hostssl shop group ${MANY} scram-sha-256`], []],
    ["replication is for superusers", [`hostssl replication report ${MANY} scram-sha-256`], []],
    ["rejected", [`host all all ${ANY} reject`], []],
    ["rejected before", [`host all all all reject`, `hostssl all all ${MANY} scram-sha-256`], []],
    [
      "rejected before, of this family only",
      [`host all all ${ANY} reject`, "hostssl all report :: :: scram-sha-256"],
      ["way-around high"],
    ],
    [
      "rejected after",
      [`hostssl all report ${MANY} scram-sha-256`, `host all all ${ANY} reject`],
      ["way-around high"],
    ],
    [
      "rejected for another",
      [`host all twokey ${ANY} reject`, `hostssl shop report ${MANY} scram-sha-256`],
      ["way-around high"],
    ],
    [
      "rejected with TLS only",
      [`hostssl all all ${ANY} reject`, `host shop twokey ${ONE} scram-sha-256`],
      ["unencrypted-way high"],
    ],
    [
      "all does not mean replication",
      [`host all all ${ANY} reject`, `hostssl replication boss ${ONE} scram-sha-256`],
      ["way-around critical"],
    ],
    ["by password", [`hostssl shop twokey ${ONE} password`], ["weak-authentication high"]],
    ["by md5", [`hostssl shop twokey ${ONE} md5`], ["weak-authentication medium"]],
    ["a host by name", ["hostssl shop twokey twokey.example scram-sha-256"], []],
    ["a domain", ["hostssl shop twokey .example scram-sha-256"], ["open-to-many-addresses medium"]],
    [
      "its own network",
      ["hostssl shop twokey samenet scram-sha-256"],
      ["open-to-many-addresses medium"],
    ],
  ])("%s: %j", (_, lines, found) => {
    expect(checksOf(...lines)).toEqual(found);
  });

  it("gives a line that it would find nothing in", () => {
    const [finding] = checkAccess({
      where: "upstream main",
      rules: [hba(`host all report ${ONE} scram-sha-256`, 0)],
      roles: ROLES,
      own: ["twokey"],
      databases: ["shop"],
    }).filter(({ check }) => check === "way-around");
    expect(finding?.fix).toContain("hostssl shop twokey 10.0.0.5/32 scram-sha-256");
    expect(checksOf(`hostssl shop twokey ${ONE} scram-sha-256`)).toEqual([]);
  });
});
