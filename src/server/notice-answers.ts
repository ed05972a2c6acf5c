import type { Submission } from "../admin/request-routes.ts";
import type { Notice } from "../alerts/event.ts";
import type { Change, RequestStore } from "../approvals/request-store.ts";
import type { Request } from "../approvals/request.ts";

/** The store, with notice of every signature and rejection that it takes. */
export function noticeAnswers(store: RequestStore, notice: (notice: Notice) => void): RequestStore {
  return {
    openOrJoin: (asked, times) => store.openOrJoin(asked, times),
    get: (id) => store.get(id),
    list: (filter) => store.list(filter),
    addApproval: async (id, approval, now) =>
      told(await store.addApproval(id, approval, now), (request) => {
        const { act, reason } = approval.document;
        const { approvers } = request.asked.terms;
        if (act === "break_glass") {
          notice({ kind: "request.break_glass", ...about(request), reason, approvers });
          return;
        }
        const isComplete = request.state.kind === "approved";
        const signer = approval.document.approver;
        notice({ kind: "request.signed", ...about(request), signer, isComplete });
      }),
    addReview: async (id, review, now) =>
      told(await store.addReview(id, review, now), (request) => {
        const { approver: by, reason } = review.document;
        notice({ kind: "request.reviewed", ...about(request), by, reason });
      }),
    remind: async (id, how) =>
      told(await store.remind(id, how), (request) => {
        const { approvers } = request.asked.terms;
        const { times } = how;
        notice({ kind: "request.unreviewed", ...about(request), approvers, times });
      }),
    reject: async (id, how) =>
      told(await store.reject(id, how), (request) => {
        const { by, reason } = how;
        notice({ kind: "request.rejected", ...about(request), by, reason });
      }),
    cancel: (id, how) => store.cancel(id, how),
    expire: (now) => store.expire(now),
    consume: (id, use) => store.consume(id, use),
    settle: (use) => store.settle(use),
    unsettled: () => store.unsettled(),
    subscribe: (listener) => store.subscribe(listener),
    close: () => store.close(),
  };
}

/** The same for a request that is opened ahead of its statement. */
export function noticeSubmission(
  submission: Submission,
  notice: (notice: Notice) => void,
): Submission {
  if (submission.kind === "opened") {
    const { request } = submission;
    const { approvers } = request.asked.terms;
    notice({ kind: "request.created", ...about(request), approvers });
  }
  return submission;
}

/** What notices say of a request. */
function about({ id, asked }: Request): {
  readonly request: string;
  readonly person: string;
  readonly environment: string;
  readonly database: string;
  readonly summary: string;
  readonly rule: string;
} {
  const { requester: person, environment, database, summary, rule } = asked;
  return { request: id, person, environment, database, summary, rule };
}

function told(change: Change, tell: (request: Request) => void): Change {
  if (change.kind === "moved") tell(change.request);
  return change;
}
