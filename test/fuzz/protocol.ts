import fc from "fast-check";
import {
  bind,
  closePortal,
  closeStatement,
  copyData,
  copyDone,
  copyFail,
  describePortal,
  describeStatement,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
} from "../support/raw-client.ts";

/** What no session may come to run: the tables that a test watches are called `keep`. */
const FORBIDDEN = [
  "DROP TABLE keep",
  "TRUNCATE keep",
  "DELETE FROM keep",
  "SELECT 1; DROP TABLE keep",
];

const ALLOWED = [
  "SELECT 1",
  "SELECT 1/0",
  "",
  "BEGIN",
  "COMMIT",
  "ROLLBACK",
  "SAVEPOINT a",
  "ROLLBACK TO a",
  "SELECT generate_series(1, 3)",
  "COPY work FROM STDIN",
  "COPY work TO STDOUT",
  "PREPARE a AS SELECT 1",
  "EXECUTE a",
  "DEALLOCATE ALL",
  "DECLARE a CURSOR FOR SELECT 1",
  "FETCH a",
  "SELEC",
];

const name = fc.constantFrom("", "a", "b");
const text = fc.constantFrom(...ALLOWED, ...FORBIDDEN);

const frontendMessage: fc.Arbitrary<Buffer> = fc.oneof(
  text.map(query),
  fc.tuple(name, text).map(([statement, sql]) => parse(statement, sql)),
  fc.tuple(name, name).map(([portal, statement]) => bind({ portal, statement })),
  fc.tuple(name, fc.constantFrom(0, 1)).map(([portal, rows]) => execute(portal, rows)),
  name.map(describeStatement),
  name.map(describePortal),
  name.map(closeStatement),
  name.map(closePortal),
  fc.constantFrom(copyData("1\n"), copyData("DROP TABLE keep"), copyDone(), copyFail("no")),
  fc.constantFrom(sync(), sync(), flush(), functionCall(1299, [])),
);

/** What a mutation does to one message: most are left as they are, so that streams get somewhere. */
const mutation = fc.oneof(
  { weight: 20, arbitrary: fc.constant((bytes: Buffer) => bytes) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]) => (bytes: Buffer) => {
      const changed = Buffer.from(bytes);
      changed[5 + (at % Math.max(1, changed.length - 5))] = value;
      return changed.subarray(0, bytes.length);
    }),
  },
  { weight: 1, arbitrary: fc.constant((bytes: Buffer) => Buffer.concat([bytes, bytes])) },
  {
    weight: 1,
    arbitrary: fc.nat(20).map((length) => (bytes: Buffer) => {
      const lying = Buffer.from(bytes);
      lying.writeUInt32BE(length, 1);
      return lying;
    }),
  },
);

/** Streams of messages that make sense one by one, out of any order, with a few bytes changed. */
export const frontendStream: fc.Arbitrary<Buffer> = fc
  .array(
    fc.tuple(frontendMessage, mutation).map(([bytes, mutate]) => mutate(bytes)),
    { minLength: 1, maxLength: 25 },
  )
  .map((messages) => Buffer.concat(messages));
