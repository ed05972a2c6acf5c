import type { SessionChange } from "../sql/session.ts";
import type { NameChange, NameChanges } from "../wire/named-objects.ts";
import type { Judged, Subject } from "./judged.ts";

const NOTHING: NameChanges<Subject> = { changes: [], isOneOfSeveral: false };

const known = new WeakMap<Judged, NameChanges<Subject>>();

/** What a statement does, by SQL, to the names that messages use, too: PREPARE, DECLARE and what takes them back. */
export function nameChangesOf(judged: Judged): NameChanges<Subject> {
  let changes = known.get(judged);
  if (changes === undefined) known.set(judged, (changes = findNameChanges(judged)));
  return changes;
}

function findNameChanges(judged: Judged): NameChanges<Subject> {
  const { classification } = judged;
  if (classification.kind === "unparsed") return NOTHING;
  const { statements } = classification;
  // To run what was prepared prepares nothing again: else it would take its name back from whoever has it by then.
  const inert = statements.map((statement) => ({ ...statement, changes: [] }));
  const run: Subject = {
    ...judged.subject,
    judged: { ...judged, classification: { ...classification, statements: inert } },
  };
  // The cursor was permitted when it was declared; more of its rows are not another run.
  const cursor: Subject = { ...run, portal: { isApproved: true } };
  const changes = statements
    .flatMap((statement) => statement.changes)
    .flatMap((change) => nameChanges(change, { run, cursor }));
  return changes.length === 0 ? NOTHING : { changes, isOneOfSeveral: statements.length > 1 };
}

function nameChanges(
  change: SessionChange,
  { run, cursor }: { readonly run: Subject; readonly cursor: Subject },
): NameChange<Subject>[] {
  switch (change.kind) {
    case "prepared":
      return [named("statement", change.name, run)];
    case "deallocated":
      return [named("statement", change.name, undefined)];
    case "declared":
      return [{ ...named("portal", change.name, cursor), outlivesTransaction: change.withHold }];
    case "closed":
      return [named("portal", change.name, undefined)];
    case "discarded_all":
      return [named("statement", undefined, undefined), named("portal", undefined, undefined)];
    default:
      return [];
  }
}

function named(
  kind: "statement" | "portal",
  name: string | undefined,
  value: Subject | undefined,
): NameChange<Subject> {
  return {
    kind,
    // On the wire names are kept a character a byte.
    name: name === undefined ? undefined : Buffer.from(name).toString("latin1"),
    value,
    outlivesTransaction: false,
  };
}
