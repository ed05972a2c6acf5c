import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { verifyApproval } from "../../src/approvals/admit.ts";
import { parseAllowedSigners } from "../../src/approvals/allowed-signers.ts";
import { NO_REVOKED_KEYS } from "../../src/approvals/revoked-keys.ts";
import { fingerprint } from "../../src/approvals/ssh-key.ts";
import { sha256 } from "../../src/base/digest.ts";
import { NOW } from "./people.ts";

const page = readFileSync(
  new URL("../../docs/reference/approval-document.md", import.meta.url),
  "utf8",
);
const [document = "", signature = "", signers = "", console = ""] = [
  ...page.matchAll(/```(?:text|console)\n([^]*?)\n```/g),
].map(([, block = ""]) => block);

it("shows an approval that can be checked by hand", () => {
  const registry = {
    signers: parseAllowedSigners(signers),
    revoked: NO_REVOKED_KEYS,
    groups: new Map<string, string[]>(),
  };
  const verification = verifyApproval({ document, signature }, { registry, now: NOW });
  expect(verification).toMatchObject({ kind: "verified", document: { approver: "bob" } });
  expect(console).toContain(sha256(document));
  if (verification.kind === "verified") {
    expect(console).toContain(fingerprint(verification.key));
    expect(console).toContain(verification.document.statements[0]?.sha256);
  }
});
