import {
  bind,
  copyData,
  copyDone,
  copyFail,
  describePortal,
  describeStatement,
  execute,
  flush,
  parse,
  query,
  run,
  sync,
  type Answer,
} from "../support/raw-client.ts";

/** Bytes to send, and how many ReadyForQuery they bring. */
export interface Step {
  readonly messages: readonly Buffer[];
  readonly readies: number;
}

type Below = (limit: number) => number;

const one = (...messages: readonly Buffer[]): Step => ({ messages, readies: 1 });

/** What a session does from a clean table on; the same numbers make the same episode. */
export function episode(below: Below): Step[] {
  const steps: Step[] = [one(query("TRUNCATE work"))];
  for (let left = 5 + below(30); left > 0; left--)
    steps.push(...(SCENES[below(SCENES.length)]?.(below) ?? []));
  steps.push(one(query("ROLLBACK")), one(query("SELECT count(*), sum(a) FROM work")));
  return steps;
}

const SCENES: readonly ((below: Below) => readonly Step[])[] = [
  (below) => [one(query(`SELECT ${below(1000)}, 'é', NULL, now() IS NULL`))],
  (below) => [
    one(query(`INSERT INTO work SELECT g, 'x' || g FROM generate_series(1, ${below(50)}) g`)),
  ],
  (below) => [one(query(`UPDATE work SET b = 'y' WHERE a = ${below(50)} RETURNING *`))],
  (below) => [one(query(`DELETE FROM work WHERE a = ${below(50)} RETURNING a`))],
  () => [one(query("SELECT 1; SELECT 2; SELECT 1/0; SELECT 3"))],
  () => [one(query("SELEC 1")), one(query("")), one(query("SELECT * FROM no_such_table"))],
  (below) => [
    one(query("BEGIN")),
    one(query(`INSERT INTO work VALUES (${below(9)}, 'in a transaction')`)),
    one(query("SAVEPOINT a")),
    one(query("SELECT 1/0")),
    one(query("ROLLBACK TO a")),
    one(query(below(2) === 0 ? "COMMIT" : "ROLLBACK")),
  ],
  (below) => [
    one(
      parse("", "SELECT $1::int, $2::text, $3::bytea", [23, 25, 17]),
      describeStatement(),
      bind({ values: [String(below(1000)), "x".repeat(below(5000)), null] }),
      describePortal(),
      execute(),
      sync(),
    ),
  ],
  (below) => [
    one(
      parse("s", "SELECT g FROM generate_series(1, $1::int) g"),
      bind({ portal: "p", statement: "s", values: [String(below(200))], resultFormats: [1] }),
      execute("p", 7),
      execute("p", 7),
      execute("p"),
      sync(),
    ),
    one(query("DEALLOCATE ALL")),
  ],
  (below) => {
    const position = below(10);
    const inserts = Array.from({ length: 10 }, (_, i) =>
      run(i === position ? "SELECT 1/0" : `INSERT INTO work VALUES (${i}, 'pipeline')`),
    );
    return [
      { messages: [...inserts, sync(), run("SELECT count(*) FROM work"), sync()], readies: 2 },
    ];
  },
  (below) => [
    one(
      query("COPY work FROM STDIN"),
      ...Array.from({ length: below(20) }, (_, i) =>
        copyData(`${i}\tcopied ${"z".repeat(below(500))}\n`),
      ),
      below(4) === 0 ? copyFail("enough") : copyDone(),
    ),
  ],
  (below) => [
    one(
      run("COPY work FROM STDIN"),
      copyData(below(3) === 0 ? "not a number\n" : "7\tseven\n"),
      copyDone(),
      sync(),
    ),
  ],
  () => [one(query("COPY (SELECT * FROM work ORDER BY a, b) TO STDOUT"))],
  () => [
    one(query("BEGIN; DECLARE c CURSOR FOR SELECT g FROM generate_series(1, 100) g")),
    one(query("FETCH 10 FROM c")),
    one(execute("c", 5), sync()),
    one(query("COMMIT")),
  ],
  (below) => [one(query(`SELECT repeat('r', 1000) FROM generate_series(1, ${below(2000)})`))],
  (below) => {
    const channel = `side_x_${below(1_000_000)}`;
    return [
      one(query(`LISTEN ${channel}`)),
      one(query(`NOTIFY ${channel}, 'heard'`)),
      one(query(`UNLISTEN ${channel}`)),
    ];
  },
  () => [one(query("DO $$ BEGIN RAISE NOTICE 'noticed'; END $$"))],
  () => [
    one(query("PREPARE q AS SELECT $1::int + 1")),
    one(query("EXECUTE q(41)")),
    one(bind({ statement: "q", values: ["1"] }), execute(), flush(), sync()),
    one(query("DEALLOCATE q")),
  ],
];

/** The same for one of the two sides, which must not hear each other's notifications. */
export function onSide(messages: readonly Buffer[], side: "a" | "b"): Buffer[] {
  return messages.map((bytes) =>
    bytes.includes("side_x_")
      ? Buffer.from(bytes.toString("latin1").replace("side_x_", `side_${side}_`), "latin1")
      : bytes,
  );
}

/** What came back, without what differs by place: a process, a source line, an object's number. */
export function comparable(answers: readonly Answer[]): string {
  return answers
    .map(({ type, body }) => {
      switch (type) {
        case "E":
        case "N":
          return type + fieldsIn(body, "SCMDHP");
        case "A":
          return type + body.toString("latin1", 4).replace(/side_[ab]_/, "");
        case "T":
          return type + columnNames(body);
        default:
          return type + body.toString("latin1");
      }
    })
    .join("\n");
}

function fieldsIn(body: Buffer, wanted: string): string {
  return body
    .toString("utf8")
    .split("\0")
    .filter((field) => field !== "" && wanted.includes(field.charAt(0)))
    .join("|");
}

function columnNames(body: Buffer): string {
  const names: string[] = [];
  let position = 2;
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const end = body.indexOf(0, position);
    // Of 18 bytes behind a name the first 6 are the table's number and the column's, then come type and format.
    names.push(body.toString("latin1", position, end) + body.toString("hex", end + 7, end + 19));
    position = end + 19;
  }
  return names.join(",");
}
