/** Ends a `switch` over a closed union: a member nobody handled does not compile, and throws if types were bypassed. */
export function assertNever(value: never): never {
  throw new Error(`unhandled case: ${JSON.stringify(value)}`);
}
