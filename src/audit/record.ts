/**
 * The audit record: one JSON object a line, UTF-8, ended by one line feed.
 *
 *   {"seq":N,"time":"T","chain":"C","prev":"P","event":"E", ...the event's own members... ,"hash":"H"}
 *
 * | member  | meaning                                                                                         |
 * | ------- | ----------------------------------------------------------------------------------------------- |
 * | `seq`   | place in the chain: 1, 2, 3, ... without a gap, over all files of the chain                     |
 * | `time`  | when it was recorded: RFC 3339, UTC, six decimals (`2026-03-14T09:26:53.589793Z`). The order of |
 * |         | records is `seq`; a clock that is set back is recorded as it was read                           |
 * | `chain` | 16 lower-case hex digits, random, one chain a writer                                            |
 * | `prev`  | `hash` of the record before; 64 zeros in record 1                                               |
 * | `event` | what happened; {@link Events} lists each with its members                                       |
 * | `hash`  | SHA-256, lower-case hex, of the line's bytes from `{` up to, not including, `,"hash":"`         |
 *
 * Exactly these six members are in every record, the first five in this order at its start and `hash` at its end;
 * no blanks between tokens, no member twice. The last 75 bytes of a line are `,"hash":"` H `"}`, so:
 *
 *   $ head -n 7 FILE | tail -n 1 | head -c -76 | sha256sum
 *
 * prints the seventh record's hash. An example, its hash checked by a test (here folded, really one line):
 *
 *   {"seq":2,"time":"2026-03-14T09:26:53.589793Z","chain":"9f86d081884c7d65",
 *   "prev":"5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9","event":"session.end",
 *   "session":"s-1","person":"bob","environment":"production","database":"shop","reason":"closed by the frontend",
 *   "duration_ms":12.5,"hash":"f75b01b74abb8d04e3f6e96274a8dbfa1633ac97bd6a1bf9447db23964fe3571"}
 *
 * A line has at most 4 MiB. A statement's text stands in `sql`, whole. One above the writer's limit is not: the record then has
 * `"sql_spilled":true` and `sql_bytes`, and the text is in a file beside the log named by `sql_sha256`.
 */
import type { BoundParameter } from "../approvals/bound-parameters.ts";
import type { Brand } from "../base/brand.ts";
import type { Json } from "../base/canonical-json.ts";
import { parseSha256, type Sha256 } from "../base/digest.ts";
import type { Sqlstate } from "../base/errors.ts";
import type { Decision } from "../policy/decision.ts";
import type { Effect, SqlObject } from "../sql/classification.ts";

/** A record with its line feed is not longer. An approval of 1 MiB, every character of it escaped, fits. */
export const MAX_RECORD_BYTES = 4 << 20;

/** Place of a record in its chain, from 1. */
export type Seq = Brand<number, "Seq">;

/** Name of a chain: 16 lower-case hex digits. */
export type ChainId = Brand<string, "ChainId">;

/** Members of a record already encoded: `,"name":value,...`. Made once, copied into many records. */
export type Fragment = Brand<Buffer, "Fragment">;

/** The same as text of ASCII characters only: for what is in one record alone. */
export type AsciiMembers = Brand<string, "AsciiMembers">;

export type Members = Fragment | AsciiMembers;

export interface Client {
  readonly address: string;
  readonly application_name?: string | undefined;
}

/** Who and where: the same for every record of a session. */
export interface SessionFields {
  readonly session: string;
  readonly person: string;
  readonly roles: readonly string[];
  readonly client: Client;
  readonly environment: string;
  readonly database: string;
}

/** The text of a statement, or where it was put when it is too long for a line. */
export type StatementText = {
  /** Literals, or what stood where a password is written, were taken out of it. */
  readonly sql_masked?: true | undefined;
} & (
  | { readonly sql: string; readonly sql_sha256: Sha256 }
  | { readonly sql_spilled: true; readonly sql_bytes: number; readonly sql_sha256: Sha256 }
);

/** A role for so long. */
interface Access {
  readonly role: string;
  readonly seconds: number;
}

/** What was judged, and how: the same each time the same text meets the same rule. */
export type StatementFields = StatementText & {
  readonly effects: readonly Effect[];
  readonly destructive: boolean;
  readonly objects: readonly SqlObject[];
  readonly action: Decision["action"];
  readonly rule: string;
  /** Of a request that asks for a role for a while, and not for a statement. */
  readonly access?: Access | undefined;
  /** What would have followed, where the environment's rules are only watched. */
  readonly observed?: "block" | "require_approval" | undefined;
};

/** A bound value: itself, or the SHA-256 of its bytes on the wire; `null` for NULL. */
export type RecordedParameter = BoundParameter | Sha256 | null;

/** The end of a statement that was forwarded. */
export interface FinishedFields {
  /** `seq` of its `statement.decided`. */
  readonly statement: Seq;
  /** Rows returned or changed, from the command tag. */
  readonly rows: number;
  /** Of the server's answer: its messages since the statement before ended. */
  readonly bytes: number;
  /** Of the data that the frontend sent for COPY. */
  readonly copied_bytes?: number | undefined;
  readonly duration_ms: number;
  /** `00000` when it succeeded. */
  readonly sqlstate: Sqlstate;
}

/** The members of each event, besides the six that every record has. */
export interface Events {
  "session.start": SessionFields & {
    readonly authentication: string;
    /** Process of the server that works for it: `%p` in the server's `log_line_prefix`. */
    readonly backend_pid?: number | undefined;
    readonly tls?: string | undefined;
  };
  "session.end": Omit<SessionFields, "roles" | "client"> & {
    readonly reason: string;
    readonly duration_ms: number;
  };
  /** `person` is who the client said it was: nobody has proved it. */
  "auth.failure": {
    readonly person?: string | undefined;
    readonly client: Client;
    readonly environment?: string | undefined;
    readonly database?: string | undefined;
    readonly reason: string;
    readonly sqlstate: Sqlstate;
  };
  /** On record before anything of it is forwarded. A signed statement has `action` allow, and its `approval`. */
  "statement.decided": SessionFields &
    StatementFields & {
      readonly request?: string | undefined;
      readonly approval?: string | undefined;
      /** Which were there, or were taken, because the rule asks for a backup. */
      readonly backups?: readonly string[] | undefined;
      /** What was bound to `$1`, `$2`, …, as far as the configuration wants it on record. */
      readonly parameters?: readonly RecordedParameter[] | undefined;
    };
  "statement.finished": Omit<SessionFields, "roles" | "client"> & FinishedFields;
  /** `person` is the requester. */
  "request.created": Omit<SessionFields, "session" | "client"> &
    StatementFields & { readonly request: string; readonly session?: string | undefined };
  "request.closed": {
    readonly request: string;
    readonly outcome: "cancelled" | "expired";
    readonly person?: string | undefined;
  };
  /**
   * `person` is the approver. With `document` (the exact bytes that were signed), `signature` (as `ssh-keygen -Y sign`
   * wrote it), `signer` and `public_key` (as in the registry, OpenSSH form) anyone can run `ssh-keygen -Y verify`.
   * `act`: the requester went alone, or a second person has looked at that afterwards.
   */
  "approval.signed": {
    readonly request: string;
    readonly approval: string;
    readonly act?: "break_glass" | "review" | undefined;
    readonly person: string;
    readonly document: string;
    readonly signature: string;
    readonly namespace: string;
    readonly signer: string;
    readonly public_key: string;
  };
  /** `person` is the requester, whose statement runs under it. */
  "approval.used": Omit<SessionFields, "session" | "roles" | "client"> & {
    readonly session?: string | undefined;
    readonly request: string;
    readonly approval: string;
    readonly uses_left?: number | undefined;
    /** From now on, for so long. */
    readonly access?: Access | undefined;
    /** Found after a crash: it was taken before, and nobody can tell whether its statement was sent. */
    readonly recovered?: true | undefined;
  };
  /** By a person who said no, or of a signature that does not hold. */
  "approval.rejected": {
    readonly request: string;
    readonly person?: string | undefined;
    readonly reason: string;
  };
  "config.loaded": {
    readonly file: string;
    readonly sha256: Sha256;
    readonly outcome: "applied" | "refused";
    readonly changes?: readonly string[] | undefined;
  };
  "alert.sent": {
    readonly alert: string;
    readonly sink: string;
    readonly outcome: "delivered" | "failed";
    /** `seq` of the record it was about. */
    readonly about?: Seq | undefined;
  };
  "backup.started": {
    readonly backup: string;
    readonly environment: string;
    readonly database: string;
    readonly reason: "schedule" | "statement" | "operator";
    /** Whose statement waits for it. */
    readonly person?: string | undefined;
  };
  "backup.finished": {
    readonly backup: string;
    readonly environment: string;
    readonly database: string;
    readonly outcome: "verified" | "taken" | "failed";
    readonly bytes: number;
    readonly duration_ms: number;
  };
  "admin.action": {
    readonly person: string;
    readonly operation: string;
    readonly target?: string | undefined;
    readonly outcome: "done" | "refused" | "failed";
  };
  /** A writer began: a new chain, or the same after it was closed, or after it was killed. */
  "chain.opened": {
    readonly format: 1;
    readonly after: "nothing" | "close" | "crash";
    readonly host: string;
    readonly pid: number;
  };
  /** Signs itself, and by `prev` everything before it: see `checkpoint.ts`. */
  "chain.checkpoint": {
    readonly key: Sha256;
    readonly next_within: number;
    readonly signature: string;
  };
  /** A killed writer's last bytes, which were no whole record, were moved to `file`. */
  "chain.torn_tail": {
    readonly file: string;
    readonly bytes: number;
    readonly sha256: Sha256;
    /** Lines among them: not of a killed process, but of a lost write or of an edit. */
    readonly whole_lines: number;
  };
  /**
   * The log could not be written for a time. Whoever was still waiting for one of the records `refused_from` to `refused_to`
   * was told so, and what it decided was not done; `lost` counts the ends of statements and sessions without room.
   */
  "chain.resumed": {
    readonly cause: string;
    readonly unavailable_ms: number;
    readonly refused_from?: Seq | undefined;
    readonly refused_to?: Seq | undefined;
    readonly lost: number;
  };
  /** Files whose time was over are removed after this is on record: the chain begins after record `to` from then on. */
  "chain.pruned": {
    readonly from: Seq;
    readonly to: Seq;
    /** `hash` of record `to`, which the first that is kept has as its `prev`. */
    readonly last_hash: Sha256;
    readonly files: number;
    readonly bytes: number;
    readonly reason: "age" | "size";
  };
  /** The running process verified its log, and found that record `record` is not as it was written. */
  "chain.tampered": {
    /** A `FindingKind`. */
    readonly finding: string;
    readonly record: number;
    readonly file: string;
    readonly line: number;
    readonly reason: string;
  };
  /** The writer ended in order; the last checkpoint follows. */
  "chain.closed": { readonly pid: number };
}

export type EventName = keyof Events;

/** What the writer is given; `seq`, `time`, `chain`, `prev` and `hash` are its own to add. */
export type AuditRecord = {
  readonly [E in EventName]: { readonly event: E } & Events[E];
}[EventName];

/** Any of the members that events have. */
export type Fields = { readonly [E in EventName]: Partial<Events[E]> }[EventName];

export const EVENTS = [
  "session.start",
  "session.end",
  "auth.failure",
  "statement.decided",
  "statement.finished",
  "request.created",
  "request.closed",
  "approval.signed",
  "approval.used",
  "approval.rejected",
  "config.loaded",
  "alert.sent",
  "backup.started",
  "backup.finished",
  "admin.action",
  "chain.opened",
  "chain.checkpoint",
  "chain.torn_tail",
  "chain.resumed",
  "chain.pruned",
  "chain.tampered",
  "chain.closed",
] as const satisfies readonly EventName[];

const FRAME_MEMBERS = ["seq", "time", "chain", "prev", "event", "hash"] as const;

/**
 * Encodes members once, to be copied into every record that has them. No member may stand in two fragments of one
 * record: readers keep the last of two, and the hash would bless both.
 *
 * @throws TypeError for a member that only the writer may set
 */
export function encodeFragment(fields: Fields): Fragment {
  for (const name of FRAME_MEMBERS) {
    if (name in fields) throw new TypeError(`"${name}" is the writer's to set`);
  }
  const members = JSON.stringify(fields).slice(1, -1);
  return Buffer.from(members === "" ? "" : `,${members}`) as Fragment;
}

/**
 * As {@link encodeFragment}, for what differs in every record of the hot path: no object, no escaping, and no bytes before
 * the record gets its own.
 */
export function encodeFinished(
  statement: Seq,
  outcome: {
    readonly rows: number;
    readonly bytes: number;
    readonly copiedBytes: number;
    readonly durationUs: number;
    readonly sqlstate: Sqlstate;
  },
): AsciiMembers {
  const { rows, bytes, copiedBytes, sqlstate } = outcome;
  const durationMs = Math.round(outcome.durationUs) / 1000;
  const copied = copiedBytes === 0 ? "" : `,"copied_bytes":${copiedBytes}`;
  return `,"statement":${statement},"rows":${rows},"bytes":${bytes}${copied},"duration_ms":${durationMs},"sqlstate":"${sqlstate}"` as AsciiMembers;
}

/** A record as read back. Its own members are kept as they stand, known here or not: logs outlive versions. */
export interface LoggedRecord {
  readonly seq: Seq;
  readonly time: string;
  readonly chain: ChainId;
  readonly prev: Sha256;
  readonly hash: Sha256;
  readonly event: string;
  readonly fields: Readonly<Record<string, Json | undefined>>;
}

/**
 * Reads one line, without its line feed. Says nothing of whether its hash is right: `verify.ts` does.
 *
 * @throws Error for what is no record
 */
export function parseRecord(line: Uint8Array): LoggedRecord {
  const value: unknown = JSON.parse(strictUtf8.decode(line));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("not a JSON object");
  }
  const { seq, time, chain, prev, event, hash, ...fields } = value as Record<string, Json>;
  if (typeof time !== "string" || Number.isNaN(Date.parse(time))) throw new Error("no time");
  if (typeof event !== "string") throw new Error("no event");
  return {
    seq: parseSeq(seq),
    time,
    chain: parseChainId(asText(chain)),
    prev: parseSha256(asText(prev)),
    hash: parseSha256(asText(hash)),
    event,
    fields,
  };
}

/** A member's text; empty when it is not there or no text. */
export function asText(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** @throws Error unless `value` is a whole number from 1 */
export function parseSeq(value: unknown): Seq {
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw new Error("not a seq");
  return value as Seq;
}

/** @throws Error unless `text` is 16 lower-case hex digits */
export function parseChainId(text: string): ChainId {
  if (!/^[0-9a-f]{16}$/.test(text)) throw new Error("not a chain id");
  return text as ChainId;
}
