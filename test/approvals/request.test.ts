import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addSeconds } from "../../src/approvals/instant.ts";
import { parseRequestId } from "../../src/approvals/request-id.ts";
import { addApproval } from "../../src/approvals/add-approval.ts";
import {
  cancelRequest,
  expireRequest,
  isOpen,
  joinKey,
  joinRequest,
  openRequest,
  rejectRequest,
  takeUse,
  type Request,
  type Transition,
  type UseId,
} from "../../src/approvals/request.ts";
import { ASKED, countingApproval, NOW, TERMS } from "./people.ts";

const ID = parseRequestId("R-7F3K2M");
const LATER = addSeconds(NOW, 3600);
const PENDING = openRequest(ID, ASKED, { now: NOW, expiresAt: LATER });

describe("a request", () => {
  it("waits for as many signatures as its rule asks for", () => {
    const terms = { ...TERMS, signatures: 2 };
    const pending = { ...PENDING, asked: { ...ASKED, terms } };
    const one = after(addApproval(pending, countingApproval("bob", pending), NOW));
    expect(one.state.kind).toBe("pending");
    const two = after(addApproval(one, countingApproval("carol", pending), NOW));
    expect(two.state.kind).toBe("approved");
    expect(addApproval(two, countingApproval("bob", pending), NOW)).toMatchObject({
      because: { kind: "already_approved" },
    });
  });

  it("may run as often as the most careful of its approvers said", () => {
    const terms = { ...TERMS, signatures: 2 };
    const pending = { ...PENDING, asked: { ...ASKED, terms } };
    const bobs = countingApproval("bob", pending, { uses: 3 });
    const one = after(addApproval(pending, bobs, NOW));
    const both = after(addApproval(one, countingApproval("carol", pending, { uses: 1 }), NOW));
    expect(after(takeUse(both, use(0))).state).toEqual({ kind: "used", at: NOW });
  });

  it("is the same request for the same asking, whoever's client and whatever the reason", () => {
    expect(joinKey({ ...ASKED, client: "elsewhere", reason: "please" })).toBe(joinKey(ASKED));
    expect(joinKey({ ...ASKED, requester: "dave" })).not.toBe(joinKey(ASKED));
  });

  it("expires when its time is over, not before", () => {
    expect(expireRequest(PENDING, addSeconds(LATER, -1))).toBe(PENDING);
    expect(expireRequest(PENDING, LATER).state).toEqual({ kind: "expired", at: LATER });
  });

  it("never opens again once closed, and is never used more than was signed for", () => {
    const moves = fc.constantFrom("join", "approve", "reject", "cancel", "expire", "use", "reuse");
    fc.assert(
      fc.property(
        fc.array(moves, { maxLength: 30 }),
        fc.integer({ min: 1, max: 5 }),
        (all, uses) => {
          let request = PENDING;
          for (const move of all) {
            const before = request;
            request = moved(request, move, uses);
            if (!isOpen(before)) expect(request.state).toEqual(before.state);
            expect(request.uses.length).toBeLessThanOrEqual(uses);
            expect(request.uses.map(({ step }) => step)).toEqual([...request.uses.keys()]);
          }
        },
      ),
    );
  });
});

function moved(request: Request, move: string, uses: number): Request {
  const step = request.uses.length;
  switch (move) {
    case "join":
      return isOpen(request) ? joinRequest(request) : request;
    case "approve":
      return stay(request, addApproval(request, countingApproval("bob", request, { uses }), NOW));
    case "reject":
      return stay(request, rejectRequest(request, { by: "bob", reason: "no", now: NOW }));
    case "cancel":
      return stay(request, cancelRequest(request, { by: "alice", now: NOW }));
    case "expire":
      return expireRequest(request, LATER);
    case "use":
      return stay(request, takeUse(request, use(step)));
    default:
      return stay(request, takeUse(request, use(step - 1)));
  }
}

function stay(request: Request, transition: Transition): Request {
  return transition.kind === "moved" ? transition.request : request;
}

function after(transition: Transition): Request {
  if (transition.kind === "moved") return transition.request;
  throw new Error(transition.because.kind);
}

function use(step: number): Parameters<typeof takeUse>[1] {
  return { id: `use-${step}` as UseId, step, instance: "one", usedAt: NOW };
}
