/**
 * The functions that libpq and JDBC call by FunctionCall, for large objects (PostgreSQL docs, "Large Objects"), as
 * statements that can be judged. Their OIDs are the same in every release (pg_proc.dat).
 */
const CALLS: ReadonlyMap<number, string> = new Map([
  [715, "SELECT pg_catalog.lo_create($1)"],
  [952, "SELECT pg_catalog.lo_open($1, $2)"],
  [953, "SELECT pg_catalog.lo_close($1)"],
  [954, "SELECT pg_catalog.loread($1, $2)"],
  [955, "SELECT pg_catalog.lowrite($1, $2)"],
  [956, "SELECT pg_catalog.lo_lseek($1, $2, $3)"],
  [957, "SELECT pg_catalog.lo_creat($1)"],
  [958, "SELECT pg_catalog.lo_tell($1)"],
  [964, "SELECT pg_catalog.lo_unlink($1)"],
  [1004, "SELECT pg_catalog.lo_truncate($1, $2)"],
  [3170, "SELECT pg_catalog.lo_lseek64($1, $2, $3)"],
  [3171, "SELECT pg_catalog.lo_tell64($1)"],
  [3172, "SELECT pg_catalog.lo_truncate64($1, $2)"],
]);

/** @returns `undefined` for any other function: nobody could tell what it does */
export function largeObjectCall(functionOid: number): Buffer | undefined {
  const text = CALLS.get(functionOid);
  return text === undefined ? undefined : Buffer.from(text);
}
