import { inspect } from "node:util";

const REDACTED = "[redacted]";

/** A value that no log line, error or JSON shows. `reveal()` is the only way to it, and easy to search for. */
export class Secret<T extends string | Buffer = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
