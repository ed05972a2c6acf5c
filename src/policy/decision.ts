import type { Freeze } from "./freeze.ts";

/** What must be signed, by whom and for how long, before a statement runs. */
export interface ApprovalTerms {
  /** Roles of which any member may sign; never the requester. */
  readonly approvers: readonly string[];
  /** How many different people must sign. */
  readonly signatures: number;
  readonly maxValiditySeconds: number;
  readonly maxUses: number;
  readonly isReasonRequired: boolean;
  /** `exact`: the values bound to `$1`, `$2`, … are signed for; `any`: the text is, whatever is bound to it. */
  readonly parameters: "exact" | "any";
  /** `refuse`: at once, with a request number. `hold`: outside a transaction, wait for the signature. */
  readonly waits: "refuse" | "hold";
  readonly holdSeconds: number;
  /** Roles whose members may go alone when it can't wait: signed with a reason, told to all, reviewed afterwards. */
  readonly breakGlass: readonly string[];
  /** Times when nobody may sign, nor anything that was signed for be run, but by breaking the glass. */
  readonly freezes: readonly Freeze[];
  /** What a DROP drops is moved aside and kept for so long; 0 where it is dropped. */
  readonly recycleSeconds: number;
}

/** The obligation of a fresh backup: unmet, the statement is refused. */
export interface BackupTerms {
  /** A backup taken now, once the statement is there: of the tables that it takes where that is enough, or of all. */
  readonly before: "nothing" | "tables" | "database";
  /** The newest whole backup is not older. `undefined`: not asked. */
  readonly maxAgeSeconds: number | undefined;
  /** And it was restored and compared. */
  readonly isVerified: boolean;
}

/** What follows for a statement, and the rule that made it so. Closed: a new action does not compile until handled. */
export type Decision =
  | {
      readonly action: "allow";
      readonly rule: string;
      readonly environment: string;
      readonly backup?: BackupTerms | undefined;
      /** What would have followed, had the environment's rules not only been watching. */
      readonly observed?: NotAllowed | undefined;
    }
  | {
      readonly action: "block";
      readonly rule: string;
      /** Whose rules decided: the session's own environment, or another on the same server that the statement reaches. */
      readonly environment: string;
      /** Which statement of a batch decided; an index into `Classification.statements`. */
      readonly statement: number | undefined;
      /** Why, in the rule's own words or the built-in rule's: a clause that can follow `refused: `. */
      readonly message: string | undefined;
      readonly hint: string | undefined;
    }
  | {
      readonly action: "require_approval";
      readonly rule: string;
      readonly environment: string;
      /** `undefined` for a text that does not parse. */
      readonly statement: number | undefined;
      readonly message: string | undefined;
      readonly hint: string | undefined;
      /** What satisfies every statement of the batch, in every environment that it reaches. */
      readonly terms: ApprovalTerms;
      readonly backup?: BackupTerms | undefined;
    };

export type NotAllowed = Exclude<Decision, { action: "allow" }>;
