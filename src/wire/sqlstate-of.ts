/**
 * The SQLSTATE in the body of an ErrorResponse: field `C`, one of the first.
 *
 * @returns `XX000` where a broken server left it out
 */
export function sqlstateOf(body: Buffer): string {
  let position = 0;
  while (position < body.length && body[position] !== 0) {
    const end = body.indexOf(0, position);
    if (end === -1) break;
    if (body[position] === CODE) return body.toString("latin1", position + 1, end);
    position = end + 1;
  }
  return "XX000";
}

const CODE = 0x43;
