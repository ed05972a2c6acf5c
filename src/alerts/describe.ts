import type { Alert } from "./alert.ts";
import { describeUnusual, unusualSameness } from "./describe-unusual.ts";
import type { AlertEvent, What, Where, Who } from "./event.ts";
import { audit, line, span, what, where, who, type Wording } from "./words.ts";

type Described = Pick<
  Alert,
  "title" | "status" | "who" | "where" | "what" | "rule" | "request" | "url" | "next"
>;

/** An event for people: what happened in one line, who, what, where, and what to do next. */
export function describe(event: AlertEvent, wording: Wording): Described {
  const told = describeParts(event, wording);
  const url =
    told.request === undefined
      ? undefined
      : wording.requestUrl?.replaceAll("{request}", told.request);
  return { status: "firing", ...told, ...(url !== undefined && { url }), title: line(told.title) };
}

function describeParts(
  event: AlertEvent,
  wording: Wording,
): Omit<Described, "status" | "url"> & { readonly status?: "resolved" } {
  switch (event.kind) {
    case "statement.refused":
      return {
        ...statement(event, wording),
        title: `${event.person}: ${line(event.summary)} was refused in ${event.environment}`,
        next: `See what else they did: ${audit(event.person)}`,
      };
    case "statement.observed": {
      const would =
        event.would === "block" ? "would have been refused" : "would have needed a second person";
      return {
        ...statement(event, wording),
        title: `${event.person}: ${line(event.summary)} ran in ${event.environment}, and ${would}`,
        next: "If that was right, write a rule that allows it; once nothing is left, set `mode: enforce`",
      };
    }
    case "statement.held":
      return {
        ...statement(event, wording),
        request: event.request,
        title: `${event.person}: ${line(event.summary)} needs a second person in ${event.environment}`,
        next: answer(event),
      };
    case "statement.approved":
      return {
        ...statement(event, wording),
        request: event.request,
        title: `${event.person}: ${line(event.summary)} runs in ${event.environment}, signed by ${event.signers.join(" and ")}`,
        next: `If nobody expects it: \`twokey sessions terminate ${event.session}\``,
      };
    case "statement.break_glass":
      return {
        ...statement(event, wording),
        request: event.request,
        title: `${event.person} broke the glass in ${event.environment}: ${line(event.summary)} runs without its signatures`,
        next: `Their reason: ${line(event.reason)}. If nobody expects it: \`twokey sessions terminate ${event.session}\``,
      };
    case "statement.failed":
      return {
        who: who(event),
        where: where(event),
        what: what(event, wording),
        title: `${event.person}: statements fail in ${event.environment}, the last with SQLSTATE ${event.sqlstate}`,
        next: `A broken release, or somebody who tries an injection: ${audit(event.person)}`,
      };
    case "request.created":
      return {
        ...request(event),
        title: `${event.person} asks for a second person: ${line(event.summary)} in ${event.environment}`,
        next: answer(event),
      };
    case "request.signed":
      return {
        ...request(event),
        title: `${event.signer} signed ${event.request} of ${event.person}: ${line(event.summary)} in ${event.environment}`,
        next: event.isComplete
          ? `It may run now. To see what was signed: \`twokey request show ${event.request}\``
          : `It needs more signatures: \`twokey approve ${event.request}\``,
      };
    case "request.rejected":
      return {
        ...request(event),
        title: `${event.by} rejected ${event.request} of ${event.person}: ${line(event.summary)} in ${event.environment}`,
        next: `Their reason: ${line(event.reason)}`,
      };
    case "request.break_glass":
      return {
        ...request(event),
        title: `${event.person} breaks the glass in ${event.environment}, alone: ${line(event.summary)}`,
        next:
          `Their reason: ${line(event.reason)}. If nobody expects it: \`twokey request cancel ${event.request}\`. ` +
          `Afterwards, ${event.approvers.join(" or ")}: \`twokey approve ${event.request} --review\``,
      };
    case "request.unreviewed":
      return {
        ...request(event),
        title: `nobody has reviewed yet what ${event.person} ran alone: ${line(event.summary)} in ${event.environment}`,
        next: `${event.approvers.join(" or ")}: \`twokey approve ${event.request} --review\``,
      };
    case "request.reviewed":
      return {
        ...request(event),
        title: `${event.by} reviewed ${event.request} of ${event.person}: ${line(event.summary)} in ${event.environment}`,
        next: `What they found: ${event.reason === "" ? "nothing said" : line(event.reason)}`,
      };
    case "login.failed":
      // The name is a stranger's: it stands in no command that somebody may copy.
      return {
        who: { claimed: line(event.claimed), address: event.address },
        title: `failed login as "${line(event.claimed)}" from ${event.address} (${event.reason})`,
        next: "See all of them: `twokey audit search --event auth.failure --since 1h`",
      };
    case "login.new_address":
      return {
        who: who(event),
        where: where(event),
        title: `${event.person} logged in from ${event.address}, where they have never been`,
        next: `Ask whether it is they. If not: \`twokey sessions list\`, end it, and disable the login. ${audit(event.person)}`,
      };
    case "login.new_program":
      return {
        who: who(event),
        where: where(event),
        title: `${event.person} logged in with "${line(event.applicationName)}", a program that they were never seen with`,
        next: `Ask whether it is they. If not: \`twokey sessions list\`, end it, and disable the login. ${audit(event.person)}`,
      };
    case "unusual.statement":
    case "unusual.rows":
    case "unusual.budget":
    case "unusual.hours":
    case "unusual.honeypot":
      return describeUnusual(event, wording);
    case "audit.unavailable":
      return {
        title: `the audit log can't be written: ${line(event.cause)}`,
        next: `Statements are refused until it can. Look at the disk of ${event.directory}`,
      };
    case "audit.available":
      return {
        status: "resolved",
        title: "the audit log can be written again",
        next: `See what was refused: \`twokey audit search --event chain.resumed --since 1d\``,
      };
    case "audit.tampered":
      return {
        title: `the audit log was tampered with: ${line(event.finding)}`,
        next: `Keep ${event.directory} as it is, copy it elsewhere, and see what is wrong: \`twokey audit verify\``,
      };
    case "backup.failed":
      return {
        where: { database: event.database },
        title: `the backup of ${event.database} failed: ${line(event.cause)}`,
        next: "See all of them: `twokey backup list`",
      };
    case "backup.stale":
      return {
        where: { database: event.database },
        title: `${event.database} has no backup that is younger than ${span(event.maxAgeSeconds)}${
          event.ageSeconds === undefined ? "" : `: the newest is ${span(event.ageSeconds)} old`
        }`,
        next: `What needs a fresh backup is refused. Make one: \`twokey backup run ${event.database}\``,
      };
    case "backup.fresh":
      return {
        status: "resolved",
        where: { database: event.database },
        title: `${event.database} has a fresh backup again`,
        next: "Nothing",
      };
    case "upstream.down":
      return {
        where: { upstream: event.upstream },
        title: `upstream ${event.upstream} can't be reached: ${line(event.cause)}`,
        next: "Look at the server, and at the way to it from here",
      };
    case "upstream.up":
      return {
        status: "resolved",
        where: { upstream: event.upstream },
        title: `upstream ${event.upstream} can be reached again`,
        next: "Nothing",
      };
    case "config.changed":
      return {
        title: `Twokey runs with a changed configuration: ${event.file} (SHA-256 ${event.sha256})`,
        next: "If nobody expects it, look at who changed the file",
      };
  }
}

/** What makes it the same thing happening again. */
export function sameness(event: AlertEvent): readonly string[] {
  switch (event.kind) {
    case "statement.refused":
    case "statement.observed":
    case "statement.failed":
      return [event.kind, event.person, event.environment, event.database, event.summary];
    case "statement.held":
    case "statement.approved":
    case "statement.break_glass":
    case "request.created":
    case "request.signed":
    case "request.rejected":
    case "request.break_glass":
    case "request.reviewed":
      return [event.kind, event.request];
    case "request.unreviewed":
      // Each reminder is news: else grouping would swallow them.
      return [event.kind, event.request, String(event.times)];
    case "login.failed":
      return [event.kind, event.claimed, event.address];
    case "login.new_address":
      return [event.kind, event.person, event.address];
    case "login.new_program":
      return [event.kind, event.person, event.applicationName];
    case "unusual.statement":
    case "unusual.rows":
    case "unusual.budget":
    case "unusual.hours":
    case "unusual.honeypot":
      return unusualSameness(event);
    case "audit.unavailable":
    case "audit.available":
      return ["audit"];
    case "audit.tampered":
      return [event.kind, event.finding];
    case "backup.failed":
      return [event.kind, event.database];
    case "backup.stale":
    case "backup.fresh":
      return ["backup", event.database];
    case "upstream.down":
    case "upstream.up":
      return ["upstream", event.upstream];
    case "config.changed":
      return [event.kind, event.sha256];
  }
}

function statement(
  event: Who & Where & What,
  wording: Wording,
): Pick<Described, "who" | "where" | "what" | "rule"> {
  return {
    who: who(event),
    where: where(event),
    what: { ...what(event, wording), destructive: event.isDestructive },
    rule: event.rule,
  };
}

function request(
  event: Extract<AlertEvent, { kind: `request.${string}` }>,
): Pick<Described, "who" | "where" | "rule" | "request"> {
  const { person, rule, request: id } = event;
  return { who: { person }, where: where(event), rule, request: id };
}

function answer({
  request: id,
  approvers,
}: {
  readonly request: string;
  readonly approvers: readonly string[];
}): string {
  return `${approvers.join(" or ")}: \`twokey approve ${id}\`, or \`twokey reject ${id}\``;
}
