/**
 * The SQLSTATE in the body of an ErrorResponse: field `C`, one of the first.
 *
 * @returns `XX000` where a broken server left it out
 */
export function sqlstateOf(body: Buffer): string {
  return errorField(body, CODE) ?? "XX000";
}

/** Whether the server closes the connection behind this ErrorResponse. */
export function isFatal(body: Buffer): boolean {
  // `V` is `S` untranslated, sent since 9.6.
  const severity = errorField(body, UNTRANSLATED_SEVERITY) ?? errorField(body, SEVERITY);
  return severity === "FATAL" || severity === "PANIC";
}

const SEVERITY = 0x53;
const UNTRANSLATED_SEVERITY = 0x56;
const CODE = 0x43;

function errorField(body: Buffer, letter: number): string | undefined {
  let position = 0;
  while (position < body.length && body[position] !== 0) {
    const end = body.indexOf(0, position);
    if (end === -1) break;
    if (body[position] === letter) return body.toString("latin1", position + 1, end);
    position = end + 1;
  }
  return undefined;
}
