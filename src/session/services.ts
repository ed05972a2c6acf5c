import type { Authentication, FrontendChannel } from "../auth/authentication.ts";
import type { SessionHabits, SessionIdentity } from "../habits/session-habits.ts";
import type { LoggedIn } from "../auth/login.ts";
import type { Place } from "../policy/place.ts";
import type { Principal } from "../policy/principal.ts";
import type { Policy } from "../policy/policy.ts";
import type { AuditFile } from "../store/audit-file.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { UpstreamLink } from "../upstream/connect.ts";
import type { ApprovalDesk } from "./approval-desk.ts";
import type { BackupDesk } from "./backup-duty.ts";
import type { CancelKeys } from "./cancel-keys.ts";
import type { Clearance } from "./clearance.ts";
import type { Classifier } from "./classifier.ts";
import type { FrontendTls } from "./frontend-tls.ts";
import type { TellNotice } from "./notices.ts";
import type { OpenSessions } from "./open-sessions.ts";
import type { FunctionCatalogue } from "./session-functions.ts";
import type { RecordedValues } from "./session-recorder.ts";

/** Where a database is, and what it counts as. */
export interface Route {
  readonly upstream: string;
  readonly place: Place;
  /** Roles of which who has no other only reads there. */
  readonly readOnlyRoles: readonly string[];
  /** Whether a frontend is told at log-in, and with every refusal, where it is and as whom. */
  readonly greets: boolean;
  /** Whether the server is told the person in place of the program. */
  readonly showsPerson: boolean;
  /** The other databases on the same server. */
  readonly neighbours: readonly Place[];
  /** Its dialect's: each reads text in its own way. */
  readonly classifier: Classifier;
  /** What its catalogue says of functions; `undefined` where the environment does not go by that. */
  readonly functions: FunctionCatalogue | undefined;
  /**
   * As the role that the person's roles have there; `twokey` is ourselves, who only look whether the server answers.
   *
   * @throws UpstreamRefused, UpstreamUnavailable; ConnectionRefused for somebody who has no login there
   */
  readonly connect: (
    who: Pick<LoggedIn, "principal" | "upstream"> | "twokey",
    parameters: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ) => Promise<UpstreamLink>;
  /** Where the server drops nothing that Twokey has not cleared. */
  readonly clearance: ((link: UpstreamLink) => Clearance) | undefined;
  readonly close: () => void;
  /** Asks the server to cancel what the link is running. Never throws: a cancel may come too late at any time. */
  readonly cancel: (link: UpstreamLink) => void;
}

interface SessionLimits {
  readonly startupTimeoutMs: number;
  readonly maxMessageBytes: number;
  readonly maxNamedObjects: number;
  readonly maxSessionsPerPerson: number;
  readonly idleInTransactionMs: number | undefined;
  /** Before a frontend is told that its log-in failed. */
  readonly failedLoginDelayMs: number;
}

/** All that sessions share. What a reload can change is a function, asked when it is needed. */
export interface SessionServices {
  readonly tls: FrontendTls | undefined;
  readonly isTlsRequired: boolean;
  readonly limits: () => SessionLimits;
  readonly authentication: (
    user: string,
    from: {
      readonly channel: FrontendChannel;
      readonly address: string;
      readonly database: string;
    },
  ) => Promise<Authentication>;
  /** @returns `undefined` for a database that is not configured */
  readonly route: (database: string) => Route | undefined;
  readonly policy: () => Policy;
  /** The principal with the roles that it has for a while; the very same object while nothing changes. */
  readonly asOfNow: (principal: Principal, place: Place) => Principal;
  readonly desk: ApprovalDesk;
  readonly backups: BackupDesk;
  readonly audit: AuditFile;
  /** What is recorded of bound values. */
  readonly recorded: RecordedValues;
  readonly cancelKeys: CancelKeys;
  readonly sessions: OpenSessions;
  readonly metrics: Metrics;
  /** @returns `undefined` for whom nothing is configured */
  readonly habits: (who: SessionIdentity) => SessionHabits | undefined;
  /** Tells those who watch, now; never throws. */
  readonly notice: TellNotice;
  readonly log: Log;
  readonly now: () => Date;
}
