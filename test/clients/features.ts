/**
 * What clients are asked to do, in the order of the table in `docs/compatibility.md`. A client shows those that its driver
 * has.
 */
export const FEATURES = {
  connect: "TLS verify-full and SCRAM, application_name kept",
  queries: "simple and parameterised queries, row counts",
  types: "every common type, extremes and NULLs, binary where the driver has it",
  large: "10 MB of rows, a parameter of 5 MB",
  errors: "SQLSTATE, message and fields of errors",
  transactions: "commit, rollback, savepoints, a failed transaction",
  prepared: "one prepared statement, many executions",
  pipeline: "several statements under way at once",
  copy: "COPY in and out",
  listen: "LISTEN and NOTIFY",
  cursor: "a cursor, or rows fetched in parts",
  cancel: "a running statement cancelled",
  refusal: "a refusal shown with message and SQLSTATE; the connection goes on",
} as const satisfies Readonly<Record<string, string>>;

export type Feature = keyof typeof FEATURES;
