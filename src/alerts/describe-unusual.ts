import type { Alert } from "./alert.ts";
import type { RowsOf, UnusualEvent } from "./event.ts";
import { audit, line, span, what, where, who, type Wording } from "./words.ts";

const DONE: Readonly<Record<RowsOf, string>> = {
  read: "read",
  change: "changed",
  delete: "deleted",
};

/** What policy allows and is odd all the same: whether it was meant is a question to whoever did it. */
export function describeUnusual(
  event: UnusualEvent,
  wording: Wording,
): Pick<Alert, "title" | "who" | "where" | "what" | "rule" | "next"> {
  return {
    who: who(event),
    where: where(event),
    rule: event.rule,
    ...("sql" in event && { what: what(event, wording) }),
    ...say(event),
  };
}

function say(event: UnusualEvent): Pick<Alert, "title" | "next"> {
  const { person, environment, session } = event;
  const askOrEnd = `Ask whether it is they. If not: \`twokey sessions terminate ${session}\``;
  switch (event.kind) {
    case "unusual.statement":
      return {
        title: `${person} has never run a statement like ${line(event.summary)} before, in ${environment}`,
        next: `If it is right: \`twokey habits learn ${person} ${event.shape}\`. If not: \`twokey sessions terminate ${session}\``,
      };
    case "unusual.rows":
      return {
        title: `${person} ${DONE[event.of]} ${event.rows} rows at once in ${environment}, ${
          event.by === "threshold"
            ? `more than ${event.limit}`
            : `whose usual is up to ${event.limit}`
        }: ${line(event.summary)}`,
        next: askOrEnd,
      };
    case "unusual.budget":
      return {
        title: `${person} ${DONE[event.of]} ${event.rows} rows in ${span(event.windowMs / 1000)} in ${environment}, of which the budget is ${event.limit}`,
        next: `See what adds up: ${audit(person)}`,
      };
    case "unusual.hours":
      return {
        title: `${person} changes something out of hours in ${environment}: ${line(event.summary)}`,
        next: askOrEnd,
      };
    case "unusual.honeypot":
      return {
        title: `${person} touched ${line(event.table)} in ${environment}, which nobody has a reason to: ${line(event.summary)}`,
        next: `Somebody looks around. End it: \`twokey sessions terminate ${session}\`, and see what else they did: ${audit(person)}`,
      };
  }
}

/** What makes it the same thing happening again. */
export function unusualSameness(event: UnusualEvent): readonly string[] {
  const base = [event.kind, event.rule, event.person, event.environment, event.database];
  switch (event.kind) {
    case "unusual.statement":
      return [...base, event.shape];
    case "unusual.rows":
    case "unusual.budget":
      return [...base, event.of];
    case "unusual.hours":
      return base;
    case "unusual.honeypot":
      return [...base, event.table];
  }
}
