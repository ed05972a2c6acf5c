/** What must be signed, by whom and for how long, before a statement runs. */
export interface ApprovalTerms {
  /** Groups of whom any member may sign; never the requester. */
  readonly approvers: readonly string[];
  /** How many different people must sign. */
  readonly signatures: number;
  readonly maxValiditySeconds: number;
  readonly maxUses: number;
  readonly isReasonRequired: boolean;
  /** `refuse`: at once, with a request number. `hold`: outside a transaction, wait for the signature. */
  readonly waits: "refuse" | "hold";
  readonly holdSeconds: number;
}

/** What follows for a statement, and the rule that made it so. Closed: a new action does not compile until handled. */
export type Decision =
  | { readonly action: "allow"; readonly rule: string }
  | {
      readonly action: "block";
      readonly rule: string;
      /** Which statement of a batch decided; an index into `Classification.statements`. */
      readonly statement: number | undefined;
      readonly hint: string | undefined;
    }
  | {
      readonly action: "require_approval";
      readonly rule: string;
      readonly statement: number;
      readonly terms: ApprovalTerms;
    };
