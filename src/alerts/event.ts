/** Somebody who has proved who they are. */
export interface Who {
  readonly person: string;
  readonly roles: readonly string[];
  /** As on record: without a port; `local` over a Unix socket. */
  readonly address: string;
  /** What the client calls itself; proves nothing. */
  readonly applicationName: string;
}

export interface Where {
  readonly environment: string;
  readonly database: string;
}

export interface What {
  /** Such as `DROP DATABASE "shop"`. */
  readonly summary: string;
  readonly sql: string;
  readonly isDestructive: boolean;
  /** Of the policy. */
  readonly rule: string;
}

type StatementEvent = Who & Where & What;

/** A request, without a session: it may have been made over the API. */
interface RequestEvent extends Where {
  readonly person: string;
  readonly request: string;
  readonly summary: string;
  readonly rule: string;
}

/** Something that policy allows and that is odd all the same; `rule` is the habit's, in the configuration. */
type Unusual = Who & Where & { readonly rule: string; readonly session: string };

/** Kinds of rows that are counted: returned, or inserted, updated and deleted, or deleted alone. */
export type RowsOf = "read" | "change" | "delete";

export type UnusualEvent =
  /** A statement of a shape that this person or application has never run. */
  | ({ readonly kind: "unusual.statement"; readonly shape: string } & Unusual &
      Pick<What, "summary" | "sql">)
  /** One statement reached more rows than it may, or than theirs do. */
  | ({
      readonly kind: "unusual.rows";
      readonly of: RowsOf;
      readonly rows: number;
      readonly limit: number;
      /** Where the limit comes from. */
      readonly by: "threshold" | "habit";
    } & Unusual &
      Pick<What, "summary" | "sql">)
  /** All statements of a time together did. */
  | ({
      readonly kind: "unusual.budget";
      readonly of: RowsOf;
      readonly rows: number;
      readonly limit: number;
      readonly windowMs: number;
    } & Unusual)
  /** A change at a time when nobody is expected to change anything. */
  | ({ readonly kind: "unusual.hours" } & Unusual & Pick<What, "summary" | "sql">)
  /** A table that nobody has a reason to touch. */
  | ({ readonly kind: "unusual.honeypot"; readonly table: string } & Unusual &
      Pick<What, "summary" | "sql">);

/** What somebody may want to be told of. */
export type AlertEvent =
  | ({ readonly kind: "statement.refused" } & StatementEvent)
  /** It ran: the rules of its environment are only watched. */
  | ({
      readonly kind: "statement.observed";
      readonly would: "block" | "require_approval";
    } & StatementEvent)
  /** It needs a second person; it was refused, or its session waits. */
  | ({
      readonly kind: "statement.held";
      readonly request: string;
      readonly approvers: readonly string[];
    } & StatementEvent)
  /** Signed for, and sent to the server. */
  | ({
      readonly kind: "statement.approved";
      readonly request: string;
      readonly signers: readonly string[];
      readonly session: string;
    } & StatementEvent)
  /** Somebody broke the glass: it runs without the signatures that it needs, and has to be accounted for. */
  | ({
      readonly kind: "statement.break_glass";
      readonly request: string;
      /** Why, in their own words. */
      readonly reason: string;
      readonly session: string;
    } & StatementEvent)
  /** The server, or the grammar, could make nothing of it. Mistypes do that, and so does whoever probes for an injection. */
  | ({
      readonly kind: "statement.failed";
      readonly sqlstate: string;
      readonly session: string;
    } & Who &
      Where &
      Pick<What, "summary" | "sql">)
  | ({ readonly kind: "request.created"; readonly approvers: readonly string[] } & RequestEvent)
  | ({
      readonly kind: "request.signed";
      readonly signer: string;
      readonly isComplete: boolean;
    } & RequestEvent)
  | ({
      readonly kind: "request.rejected";
      readonly by: string;
      readonly reason: string;
    } & RequestEvent)
  /** Somebody signed that they go alone: nothing has run yet. */
  | ({
      readonly kind: "request.break_glass";
      readonly reason: string;
      readonly approvers: readonly string[];
    } & RequestEvent)
  /** Nobody has signed the review yet; told again and again. */
  | ({
      readonly kind: "request.unreviewed";
      readonly approvers: readonly string[];
      readonly times: number;
    } & RequestEvent)
  | ({
      readonly kind: "request.reviewed";
      readonly by: string;
      readonly reason: string;
    } & RequestEvent)
  /** `claimed` is who they said they were: nobody has proved it. */
  | {
      readonly kind: "login.failed";
      readonly claimed: string;
      readonly address: string;
      readonly reason: string;
    }
  | ({ readonly kind: "login.new_address" } & Who & Where)
  /** With a program, as it calls itself, that they were never seen with. */
  | ({ readonly kind: "login.new_program" } & Who & Where)
  | UnusualEvent
  | { readonly kind: "audit.unavailable"; readonly directory: string; readonly cause: string }
  | { readonly kind: "audit.available"; readonly directory: string }
  /** The log is not as it was written: edited, cut, or put together of others. */
  | { readonly kind: "audit.tampered"; readonly directory: string; readonly finding: string }
  | { readonly kind: "backup.failed"; readonly database: string; readonly cause: string }
  /** No backup is as fresh as it has to be; `ageSeconds` is `undefined` where there is none at all. */
  | {
      readonly kind: "backup.stale";
      readonly database: string;
      readonly ageSeconds: number | undefined;
      readonly maxAgeSeconds: number;
    }
  | { readonly kind: "backup.fresh"; readonly database: string }
  | { readonly kind: "upstream.down"; readonly upstream: string; readonly cause: string }
  | { readonly kind: "upstream.up"; readonly upstream: string }
  | { readonly kind: "config.changed"; readonly file: string; readonly sha256: string };

/** What is worth looking at, but no news by itself. */
export type Notice =
  AlertEvent | ({ readonly kind: "login.succeeded"; readonly isPerson: boolean } & Who & Where);
