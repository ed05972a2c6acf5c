import type { Classification, ParsedClassification, QualifiedName } from "../sql/classification.ts";
import { trusting } from "../sql/trust.ts";

/** What a database's catalogue says, now, of functions that are not PostgreSQL's own. */
export interface FunctionCatalogue {
  /** It only reads, for all that is known. */
  readonly trusts: (called: QualifiedName) => boolean;
  /** Somebody is about to change functions: until they have settled, nothing is known. */
  readonly changing: (who: object) => void;
  readonly settled: (who: object) => void;
}

/** The same as one session asks it, and adds to. */
export class SessionFunctions {
  readonly #catalogue: FunctionCatalogue;
  #isChanging = false;

  constructor(catalogue: FunctionCatalogue) {
    this.#catalogue = catalogue;
  }

  trusting(classification: Classification): ParsedClassification | undefined {
    return trusting(classification, this.#catalogue.trusts);
  }

  /** A statement is on its way that may leave other functions behind. */
  changing(): void {
    this.#isChanging = true;
    this.#catalogue.changing(this);
  }

  settled(): void {
    if (!this.#isChanging) return;
    this.#isChanging = false;
    this.#catalogue.settled(this);
  }
}
