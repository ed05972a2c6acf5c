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

/** What somebody may want to be told of. */
export type AlertEvent =
  | ({ readonly kind: "statement.refused" } & StatementEvent)
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
  /** The server, or the grammar, could make nothing of it. Mistypes do that, and so does whoever probes for an injection. */
  | ({ readonly kind: "statement.failed"; readonly sqlstate: string } & Who &
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
  /** `claimed` is who they said they were: nobody has proved it. */
  | {
      readonly kind: "login.failed";
      readonly claimed: string;
      readonly address: string;
      readonly reason: string;
    }
  | ({ readonly kind: "login.new_address" } & Who & Where)
  | { readonly kind: "audit.unavailable"; readonly directory: string; readonly cause: string }
  | { readonly kind: "audit.available"; readonly directory: string }
  | { readonly kind: "upstream.down"; readonly upstream: string; readonly cause: string }
  | { readonly kind: "upstream.up"; readonly upstream: string }
  | { readonly kind: "config.changed"; readonly file: string; readonly sha256: string };

/** What is worth looking at, but no news by itself. */
export type Notice =
  AlertEvent | ({ readonly kind: "login.succeeded"; readonly isPerson: boolean } & Who & Where);
