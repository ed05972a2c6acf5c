import type pg from "pg";

/** Tried in turn until one can be read as the type. */
const LITERALS = [
  "1",
  "a",
  "2024-02-29",
  "12:34:56",
  "(1,2)",
  "[(0,0),(1,1)]",
  "((0,0),(1,1),(1,0))",
  "<(1,2),3>",
  "{1,2,3}",
  "10.0.0.0/8",
  "08:00:2b:01:02:03",
  "00000000-0000-0000-0000-000000000001",
  "16/B374D848",
  "10:20:10,14",
  "$.a[*]",
  "[1,5)",
  "[2024-01-01,2024-02-02)",
  "{[1,5)}",
  "{[2024-01-01,2024-02-02)}",
  "=r/postgres",
  "english",
  "simple",
  "pg_class",
  "pg_catalog",
  "now",
  "abs(int4)",
  "!!",
  "+(int4,int4)",
  "C",
  "{1}",
] as const;

interface BuiltInValue {
  readonly type: string;
  /** SQL that yields one value of the type. */
  readonly expression: string;
}

/** One value of each base, range and multirange type and array that the server comes with; NULL where no text can be read as one. */
export async function builtInValues(witness: pg.Client): Promise<BuiltInValue[]> {
  const { rows } = await witness.query<{ type: string }>(
    `SELECT format_type(oid, NULL) AS type FROM pg_type
     WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
       AND (typelem = 0 OR typelem NOT IN (SELECT oid FROM pg_type WHERE typtype IN ('c', 'p')))
     ORDER BY oid`,
  );
  const values: BuiltInValue[] = [];
  for (const { type } of rows) {
    values.push({ type, expression: await expressionOf(witness, type) });
  }
  return values;
}

async function expressionOf(witness: pg.Client, type: string): Promise<string> {
  if (type.endsWith("[]")) {
    const element = await expressionOf(witness, type.slice(0, -2));
    return `ARRAY[${element}, NULL]::${type}`;
  }
  for (const literal of LITERALS) {
    const expression = `'${literal}'::${type}`;
    try {
      await witness.query(`SELECT ${expression}`);
      return expression;
    } catch {
      // The next, then.
    }
  }
  return `NULL::${type}`;
}
