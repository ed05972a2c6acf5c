import fc from "fast-check";
import pc from "picocolors";
import { expect, it } from "vitest";
import type { RequestView } from "../../src/admin/request-views.ts";
import { approvedStatement, type ApprovalDocument } from "../../src/approvals/document.ts";
import { parseInstant } from "../../src/approvals/instant.ts";
import { parseRequestId } from "../../src/approvals/request-id.ts";
import { describeApproval, describeRequest } from "../../src/cli/show-request.ts";

/** Text as an attacker would choose it: anything, with more than its share of what terminals obey. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\u001b[2J",
        "\u009b1A",
        "\u202e",
        "\u2028",
        "\u200b",
      ),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => pieces.join(""));

const views = fc
  .record({ sql: hostile, name: hostile, value: hostile, reason: hostile })
  .map(({ sql, name, value, reason }) => {
    const validity = {
      from: parseInstant("2026-11-23T12:00:00Z"),
      until: parseInstant("2026-11-23T12:15:00Z"),
    };
    const statements = [approvedStatement(sql, [{ oid: 25, text: value }])];
    const document: ApprovalDocument = {
      type: "twokey-approval",
      version: 1,
      request: parseRequestId("R-7F3K2M"),
      requester: name,
      approver: name,
      statements,
      database: name,
      environment: name,
      upstream: name,
      rule: name,
      uses: 1,
      validity,
      reason,
      nonce: "",
      impact: { note: value },
    };
    const request: RequestView = {
      id: "R-7F3K2M",
      state: "rejected",
      closed: { at: validity.until, by: name, reason },
      summary: name,
      requester: name,
      roles: [name],
      client: name,
      database: name,
      environment: name,
      upstream: name,
      rule: name,
      reason,
      effects: [name],
      statements,
      signatures: 0,
      signatures_needed: 1,
      approvers: [name],
      max_validity_seconds: 900,
      max_uses: 1,
      is_reason_required: false,
      times_asked: 1,
      created_at: validity.from,
      expires_at: validity.until,
      approvals: [
        {
          approver: name,
          act: "approval",
          reason,
          uses: 1,
          valid_from: validity.from,
          valid_until: validity.until,
          document: "",
          signature: "",
        },
      ],
      uses: [],
      may_break_glass: [],
      recent: [],
    };
    return { document, request, sql };
  });

const plain = pc.createColors(false);

it("shows nothing that a terminal obeys or hides, whatever it is about", () => {
  fc.assert(
    fc.property(views, ({ document, request }) => {
      const lines = [
        ...describeApproval(document, request, plain),
        ...describeRequest(request, plain),
      ];
      for (const line of lines)
        expect(line.replaceAll("\t", "")).not.toMatch(/\p{C}|\p{Zl}|\p{Zp}/u);
    }),
  );
});

it("puts a bar before every line of SQL, and before no other", () => {
  fc.assert(
    fc.property(views, ({ document, request, sql }) => {
      const barred = describeApproval(document, request, plain).filter((l) => l.startsWith("  │ "));
      expect(barred).toHaveLength(sql.split("\n").length);
    }),
  );
});
