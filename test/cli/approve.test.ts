import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { approvedStatement } from "../../src/approvals/document.ts";
import { formatPublicKey } from "../../src/approvals/ssh-key.ts";
import type { RequestView } from "../../src/admin/request-views.ts";
import { asked, keyOf, openTestAdmin, type TestAdmin } from "../admin/harness.ts";
import { hasSshKeygen, Home, type Ran, type Typist } from "./harness.ts";

let admin: TestAdmin;
let home: Home;
beforeEach(async () => {
  admin = await openTestAdmin();
  // The command has the machine's clock.
  admin.clock.now = Date.now();
  home = new Home();
});
afterEach(async () => {
  home.remove();
  await admin.close();
});

function as(person: string, ...argv: string[]): string[] {
  return [...argv, "--url", admin.url, "--as", person, "--key", home.key(person)];
}

function approve(id: string, typist: Typist = { confirms: true }, ...more: string[]): Promise<Ran> {
  return home.run(as("bob", "approve", id, ...more), typist);
}

describe("twokey approve", () => {
  it("shows who wants what, where and why; asks; and signs", async () => {
    const id = await admin.open(asked({ reason: "moved to the new cluster" }));
    const ran = await approve(id);
    expect(ran.status).toBe(0);
    expect(ran.stdout).toMatch(
      new RegExp(`^${id} is approved: alice may run it once until \\d{4}-.*Z\n$`),
    );
    const shown = ran.stderr.replace(/until .*/, "until …").replace(id, "R-…");
    expect(shown).toBe(`
R-…  DROP DATABASE "shop"

  requester    alice (senior) from 10.0.0.7 (psql)
  where        database shop in production, on upstream main
  rule         drops-need-a-lead
  effect       destroys objects, or rows with them
  their reason moved to the new cluster
  signatures   0 of 1

  │ DROP DATABASE shop

  you sign as  bob
  valid        once, for 15 minutes, until …

  impact       {"measured_at":"2026-11-23T12:00:00Z"}

`);
  });

  it.skipIf(!hasSshKeygen)("makes a signature that plain ssh-keygen verifies", async () => {
    const id = await admin.open(asked());
    const { stdout } = await approve(id, {}, "--yes", "--json");
    const [approval] = (JSON.parse(stdout) as RequestView).approvals;
    const directory = mkdtempSync(join(tmpdir(), "twokey-verify-"));
    try {
      const signers = join(directory, "allowed_signers");
      writeFileSync(signers, `bob ${formatPublicKey(keyOf("bob").publicKey)}\n`);
      const signature = join(directory, "approval.sig");
      writeFileSync(signature, approval?.signature ?? "");
      const args = [
        "-Y",
        "verify",
        "-f",
        signers,
        "-I",
        "bob",
        "-n",
        "approval@twokey",
        "-s",
        signature,
      ];
      const verified = spawnSync("ssh-keygen", args, { input: approval?.document });
      expect(verified.stdout.toString()).toContain('Good "approval@twokey" signature for bob');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("signs nothing when the answer is no", async () => {
    const id = await admin.open(asked());
    expect(await approve(id, { confirms: false })).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining("error: nothing was signed") as string,
    });
    expect((await admin.requests.list({ limit: 1 })).requests[0]?.approvals).toEqual([]);
  });

  it("does not ask where nobody sits, but names the option", async () => {
    const ran = await approve(await admin.open(asked()), {});
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain("say --yes to sign without being asked");
    const needsReason = asked({ terms: { ...asked().terms, isReasonRequired: true } });
    const other = await approve(await admin.open(needsReason), {}, "--yes");
    expect(other.status).toBe(2);
    expect(other.stderr).toContain("hint: give it with --reason");
  });

  it("signs the reason along, typed or given", async () => {
    const terms = { ...asked().terms, isReasonRequired: true };
    const reasonOf = async (ran: Promise<Ran>): Promise<string | undefined> =>
      (JSON.parse((await ran).stdout) as RequestView).approvals[0]?.reason;
    const one = await admin.open(asked({ terms }));
    const typed = approve(one, { confirms: true, types: "I saw the backup" }, "--json");
    expect(await reasonOf(typed)).toBe("I saw the backup");
    const two = await admin.open(asked({ terms, database: "crm" }));
    expect(await reasonOf(approve(two, {}, "--yes", "--json", "--reason", "ok"))).toBe("ok");
  });

  it("signs for as often and as long as is said", async () => {
    const id = await admin.open(asked({ terms: { ...asked().terms, maxUses: 5 } }));
    const ran = await approve(id, { confirms: true }, "--uses", "3", "--validity", "10");
    expect(ran.stderr).toContain("valid        3 times, for 10 minutes, until ");
    expect(ran.stdout).toContain("alice may run it 3 times until");
  });

  it("shows what a terminal would hide or obey, and keeps every line apart from its own", async () => {
    const sql = "DROP TABLE a; -- \u202e\u001b[2K\r\nstate       approved";
    const id = await admin.open(
      asked({ statements: [approvedStatement(sql, "none")], summary: "DROP TABLE\u001b[31m a" }),
    );
    const { stderr } = await approve(id);
    // eslint-disable-next-line no-control-regex -- that there are none is the point
    expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(stderr).toContain("  │ DROP TABLE a; -- \\u{202e}\\u{001b}[2K");
    expect(stderr).toContain("  │ state       approved");
  });

  it("shows every statement, every bound value and how many lines there are", async () => {
    const long = Array.from({ length: 30 }, (_, i) => `-- ${i}`).join("\n");
    const statements = [
      approvedStatement("DELETE FROM t WHERE id = $1 AND n = $2", [
        { oid: 25, text: "it's" },
        { oid: 23, null: true },
      ]),
      approvedStatement(long, "any"),
    ];
    const { stderr } = await approve(await admin.open(asked({ statements })));
    expect(stderr).toContain("statement 1 of 2 (38 bytes)");
    expect(stderr).toContain('  $1 = "it\'s" (type 25)\n  $2 = NULL (type 23)\n');
    expect(stderr).toContain("statement 2 of 2 (30 lines, 169 bytes)");
    expect(stderr).toContain("  with whatever is bound to its parameters");
  });

  it("tells when more signatures are needed", async () => {
    const id = await admin.open(asked({ terms: { ...asked().terms, signatures: 2 } }));
    expect((await approve(id)).stdout).toBe(`${id} has 1 of 2 signatures\n`);
    const again = await approve(id);
    expect(again).toMatchObject({ status: 1 });
    expect(again.stderr).toContain("you have signed this request already");
  });
});

describe("twokey approve refuses, and says why:", () => {
  it("one's own request", async () => {
    const ran = await approve(await admin.open(asked({ requester: "bob" })));
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain("error: you may not approve your own request");
  });

  it("a request that has expired", async () => {
    const id = await admin.open(asked());
    admin.clock.now += 3600_000;
    const ran = await approve(id);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain("error: the request has expired");
  });

  it("a request that has been approved", async () => {
    const id = await admin.open(asked());
    await approve(id);
    const ran = await approve(id);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain("error: the request has all its signatures already");
  });

  it("a request that isn't there", async () => {
    const ran = await approve("r-000000");
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain("error: there is no request R-000000 that you may see");
  });

  it("a key that is not registered", async () => {
    const id = await admin.open(asked());
    const argv = ["approve", id, "--url", admin.url, "--as", "bob", "--key", home.key("mallory")];
    const ran = await home.run(argv, { confirms: true });
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain(
      "bob could not sign in: the key is not registered for that person",
    );
    expect(ran.stderr).toContain("hint: who you are is said with --as, your key with --key");
  });

  it("what is no request's number", async () => {
    const ran = await approve("7");
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain("A request's number looks like R-7F3K2M.");
  });
});
