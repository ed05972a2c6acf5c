import fs from "node:fs";

const KEPT = 64;

/** Copies of checkpoints on their way to the anchor file. It may be on another machine, so it may be away for a time. */
export class AuditAnchors {
  readonly #filePath: string | undefined;
  readonly #onTrouble: ((error: unknown) => void) | undefined;
  #waiting: Buffer[] = [];
  /** The file may end within a line, of a write that failed or of a writer that was killed. */
  #isEndUnknown = true;

  constructor(filePath: string | undefined, onTrouble: ((error: unknown) => void) | undefined) {
    this.#filePath = filePath;
    this.#onTrouble = onTrouble;
  }

  /** @param line - a checkpoint's; copied. Of many that wait, the newest are kept: each stands for all before it */
  add(line: Uint8Array): void {
    if (this.#filePath === undefined) return;
    this.#waiting.push(Buffer.from(line));
    this.#waiting = this.#waiting.slice(-KEPT);
  }

  /** Writes those that wait, which must be in the log by now. Never throws: they wait on. */
  write(): void {
    if (this.#filePath === undefined || this.#waiting.length === 0) return;
    try {
      if (this.#isEndUnknown) cutUnfinishedLine(this.#filePath);
      this.#isEndUnknown = true;
      fs.appendFileSync(this.#filePath, Buffer.concat(this.#waiting), { mode: 0o600 });
      this.#isEndUnknown = false;
      this.#waiting = [];
    } catch (error) {
      this.#onTrouble?.(error);
    }
  }
}

function cutUnfinishedLine(filePath: string): void {
  if (!fs.existsSync(filePath)) return;
  const content = fs.readFileSync(filePath);
  const whole = content.lastIndexOf(0x0a) + 1;
  if (whole < content.length) fs.truncateSync(filePath, whole);
}
