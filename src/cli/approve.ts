import { Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { requestSchema, type RequestView } from "../admin/request-views.ts";
import { parseApprovalDocument, type ApprovalDocument } from "../approvals/document.ts";
import { parseRequestId, type RequestId } from "../approvals/request-id.ts";
import { APPROVAL_NAMESPACE } from "../approvals/sshsig.ts";
import { openClient, withApiOptions, type ApiOptions } from "./api-options.ts";
import { CommandFailed } from "./command-failed.ts";
import { describeApproval } from "./show-request.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

interface ApproveOptions extends ApiOptions {
  readonly reason?: string;
  readonly uses?: number;
  readonly validity?: number;
  readonly yes?: true;
  readonly breakGlass?: true;
  readonly review?: true;
}

/** `twokey approve ID`: shows what somebody wants to run, asks, and signs for it. */
export function approveCommand(terminal: Terminal): Command {
  return withApiOptions(new Command("approve"))
    .description("Sign for a request with your SSH key, so that its statement may run")
    .argument("<id>", "number of the request, such as R-7F3K2M", parseId)
    .option("--reason <text>", "why you agree; part of what you sign")
    .option("--uses <n>", "how many times it may run (default: 1)", parseCount)
    .option("--validity <minutes>", "for how long (default: what the rule allows)", parseMinutes)
    .option("--yes", "sign without being asked")
    .addOption(
      new Option(
        "--break-glass",
        "go alone with your own request, where the rule lets you: everybody is told, and it is reviewed",
      ).conflicts("review"),
    )
    .option("--review", "sign that you have looked at what somebody ran alone; nothing runs by it")
    .action((id: RequestId, options: ApproveOptions) => approve(id, options, terminal));
}

async function approve(id: RequestId, options: ApproveOptions, terminal: Terminal): Promise<void> {
  const { client, person, sign } = await openClient(options, terminal);
  const request = await client.call("GET", `/requests/${id}`, requestSchema);
  const { document: text } = await client.call(
    "POST",
    `/requests/${id}/approval-document`,
    z.object({ document: z.string() }),
    {
      act: actOf(options),
      reason: options.reason ?? (await askForReason(request, options, terminal)),
      ...(options.uses !== undefined && { uses: options.uses }),
      ...(options.validity !== undefined && { validity_seconds: options.validity }),
    },
  );
  const document = parseApprovalDocument(text);
  refuseOtherThanAsked(document, { id, person });
  for (const line of ["", ...describeApproval(document, request, terminal.colors), ""]) {
    terminal.note(line);
  }
  await refuseUnlessAgreed(id, options, terminal);

  const signature = await sign(text, APPROVAL_NAMESPACE);
  const approved = await client.call("POST", `/requests/${id}/approvals`, requestSchema, {
    document: text,
    signature,
  });
  terminal.print(
    options.json ? JSON.stringify(approved) : visibleLine(outcome(approved, document)),
  );
}

function actOf({ breakGlass, review }: ApproveOptions): "approval" | "break_glass" | "review" {
  if (breakGlass) return "break_glass";
  return review ? "review" : "approval";
}

const WHY = {
  approval: "Why do you agree?",
  break_glass: "Why can't it wait for a second person?",
  review: "What did you find?",
};

async function askForReason(
  request: RequestView,
  options: ApproveOptions,
  terminal: Terminal,
): Promise<string> {
  const act = actOf(options);
  if (act === "approval" && !request.is_reason_required) return "";
  const reason = terminal.isInteractive ? await terminal.ask(WHY[act]) : undefined;
  if (act === "review") return reason ?? "";
  if (reason === undefined || reason.trim() === "") {
    throw new CommandFailed(2, "the rule asks for a reason", { hint: "give it with --reason" });
  }
  return reason;
}

/** The server makes the document; that it is about this request, and in this name, is for us to see. */
function refuseOtherThanAsked(
  document: ApprovalDocument,
  { id, person }: { id: RequestId; person: string },
): void {
  if (document.request !== id || document.approver !== person) {
    throw new CommandFailed(
      2,
      `asked for ${id} as ${person}, the server gave a document for ${document.request} as ${document.approver}`,
      { hint: "nothing was signed" },
    );
  }
}

async function refuseUnlessAgreed(
  id: RequestId,
  options: ApproveOptions,
  terminal: Terminal,
): Promise<void> {
  if (options.yes) return;
  if (!terminal.isInteractive) {
    throw new CommandFailed(2, "nobody is there to be asked, so nothing was signed", {
      hint: "say --yes to sign without being asked",
    });
  }
  if (!(await terminal.confirm(QUESTIONS[actOf(options)]))) {
    throw new CommandFailed(1, "nothing was signed", {
      hint: `say no for good with: twokey reject ${id}`,
    });
  }
}

const QUESTIONS = {
  approval: "Sign for exactly this?",
  break_glass: "Go alone? Everybody is told now, and a second person will review it.",
  review: "Sign that you have reviewed exactly this?",
};

function outcome(request: RequestView, { act, uses, validity }: ApprovalDocument): string {
  const { id, state, signatures, signatures_needed: needed, requester } = request;
  if (act === "review") return `${id} is reviewed`;
  if (state !== "approved") return `${id} has ${signatures} of ${needed} signatures`;
  const often = uses === 1 ? "once" : `${uses} times`;
  return `${id} is approved: ${requester} may run it ${often} until ${validity.until}`;
}

export function parseId(text: string): RequestId {
  try {
    return parseRequestId(text);
  } catch {
    throw new InvalidArgumentError("A request's number looks like R-7F3K2M.");
  }
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError("Not a number.");
  return count;
}

/** @returns seconds */
function parseMinutes(text: string): number {
  return parseCount(text) * 60;
}
