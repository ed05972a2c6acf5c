import type { Sha256 } from "../base/digest.ts";
import { SQLSTATE, TwokeyError, type ErrorDetails } from "../base/errors.ts";
import type { CountingApproval, CountingReview } from "./admit.ts";
import type { Instant } from "./instant.ts";
import type { RequestId } from "./request-id.ts";
import type { Asked, RefusedTransition, Request, RequestState, Use, UseId } from "./request.ts";

/**
 * Where requests, their approvals and their uses are kept. Several replicas may share one: every change is
 * compare-and-set, and what a promise has resolved with survives a kill -9.
 */
export interface RequestStore {
  /** Opens a request, or counts one more asking for the open one that is the same ({@link joinKey}). */
  openOrJoin(
    asked: Asked,
    times: { readonly now: Instant; readonly expiresAt: Instant },
  ): Promise<Opening>;

  get(id: RequestId): Promise<Request | undefined>;

  /** The newest first. */
  list(filter: RequestFilter): Promise<RequestPage>;

  addApproval(id: RequestId, approval: CountingApproval, now: Instant): Promise<Change>;

  /** What a second person signed who has looked at what was done when the glass was broken. */
  addReview(id: RequestId, review: CountingReview, now: Instant): Promise<Change>;

  /** People are about to be reminded of the open review for the n-th time; refused where they have been. */
  remind(id: RequestId, how: { readonly times: number }): Promise<Change>;

  reject(
    id: RequestId,
    how: { readonly by: string; readonly reason: string; readonly now: Instant },
  ): Promise<Change>;

  cancel(id: RequestId, how: { readonly by: string; readonly now: Instant }): Promise<Change>;

  /** Closes every open request whose time is over, at most a thousand a call, and returns them. */
  expire(now: Instant): Promise<readonly Request[]>;

  /**
   * Takes one step of an approved request: exactly one caller gets it, among all replicas. It is taken before it is
   * on record, so a crash in between leaves it {@link unsettled} and never lets it be taken twice.
   */
  consume(id: RequestId, use: Use): Promise<Change>;

  /** Notes that the use is in the audit log. */
  settle(use: UseId): Promise<void>;

  /** Uses taken and never settled: by this instance before it crashed, or by one that is just about to. */
  unsettled(): Promise<readonly UnsettledUse[]>;

  /** Calls `listener` for every change, wherever it was made; until the function returned is called. */
  subscribe(listener: (change: ChangeNotice) => void): () => void;

  close(): Promise<void>;
}

export type Opening =
  | { readonly kind: "opened" | "joined"; readonly request: Request }
  /** The requester has that many open already; someone has to look at those first. */
  | { readonly kind: "too_many_open"; readonly open: number };

export type Change =
  | { readonly kind: "moved"; readonly request: Request }
  | { readonly kind: "refused"; readonly because: RefusedTransition; readonly request: Request }
  | { readonly kind: "unknown_request" };

export interface RequestFilter {
  readonly states?: readonly RequestState["kind"][];
  readonly requester?: string;
  readonly database?: string;
  readonly environment?: string;
  /** One of the request's statements has this SHA-256. */
  readonly statement?: Sha256;
  readonly review?: "open" | "signed";
  /** From 1 to 200. */
  readonly limit: number;
  /** {@link RequestPage.next} of the page before. */
  readonly after?: string;
}

export interface RequestPage {
  readonly requests: readonly Request[];
  /** Where the next page begins; `undefined` on the last one. */
  readonly next: string | undefined;
}

export interface UnsettledUse {
  readonly request: RequestId;
  readonly use: Use;
}

/** `unknown`: changes may have been missed, as after a lost connection; look at everything that matters again. */
export type ChangeNotice =
  { readonly kind: "request"; readonly id: RequestId } | { readonly kind: "unknown" };

/** The store can't be reached or can't be trusted, so nothing that needs it happens. */
export class StoreUnavailable extends TwokeyError {
  constructor(message: string, details?: ErrorDetails) {
    super(SQLSTATE.ioError, message, details);
  }
}
