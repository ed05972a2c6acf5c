/** Ends a command: 1 if the answer is no, 2 if there is none. */
export class CommandFailed extends Error {
  readonly exitStatus: 1 | 2;
  readonly hint: string | undefined;

  constructor(
    exitStatus: 1 | 2,
    message: string,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitStatus = exitStatus;
    this.hint = options.hint;
  }
}
