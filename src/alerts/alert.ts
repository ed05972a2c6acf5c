/**
 * An alert, as the generic webhook posts it: one JSON object, UTF-8, of which receivers ignore members that they don't
 * know.
 *
 * | member     | meaning                                                                                        |
 * | ---------- | ---------------------------------------------------------------------------------------------- |
 * | `id`       | names this alert for ever: what comes twice (delivery is "at least once") has the same         |
 * | `time`     | when it happened (of several: the last), RFC 3339, UTC                                         |
 * | `alert`    | name of the alert rule                                                                         |
 * | `event`    | what happened: an event name of the alerts reference                                           |
 * | `severity` | `info`, `warning` or `critical`                                                                |
 * | `status`   | `firing`; `resolved` for the end of a state whose begin had the same `group`                   |
 * | `group`    | the same for what is the same thing happening again: 32 lower-case hex digits                  |
 * | `times`    | how often it has happened since the group was last told of; 1 if it is the first               |
 * | `title`    | all of it in one line                                                                          |
 * | `who`      | `person`, `roles`, `address`, `application_name`; or `claimed` in place of `person` where      |
 * |            | nobody has proved it                                                                           |
 * | `where`    | `environment`, `database`, `upstream`, as far as there is one                                  |
 * | `what`     | of a statement: `statement` (short), `sql` (if configured; cut), `sql_sha256`, `destructive`   |
 * | `rule`     | name of the policy's rule that decided                                                         |
 * | `request`  | the request's number; `url` is its page, if configured                                         |
 * | `next`     | what to do about it; a command stands in backquotes                                            |
 *
 * Every text from outside is shown with its control and invisible characters spelled out, and cut.
 */
import type { AlertEventName, Severity } from "../config/alerts.ts";

export interface Alert {
  readonly id: string;
  readonly time: string;
  readonly alert: string;
  readonly event: AlertEventName | "test";
  readonly severity: Severity;
  readonly status: "firing" | "resolved";
  readonly group: string;
  readonly times: number;
  readonly title: string;
  readonly who?: AlertWho | undefined;
  readonly where?: AlertWhere | undefined;
  readonly what?: AlertWhat | undefined;
  readonly rule?: string | undefined;
  readonly request?: string | undefined;
  readonly url?: string | undefined;
  readonly next: string;
}

export interface AlertWho {
  readonly person?: string | undefined;
  readonly claimed?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly address?: string | undefined;
  readonly application_name?: string | undefined;
}

interface AlertWhere {
  readonly environment?: string | undefined;
  readonly database?: string | undefined;
  readonly upstream?: string | undefined;
}

export interface AlertWhat {
  readonly statement: string;
  readonly sql?: string | undefined;
  readonly sql_sha256: string;
  readonly destructive?: boolean | undefined;
}

/** An alert in words, a fact a line; the same for chat and mail. */
export function alertFacts({ who, where, what, ...alert }: Alert): [label: string, text: string][] {
  const facts: [string, string | undefined][] = [
    ["Who", join([who?.person, claimed(who), roles(who), from(who)])],
    ["What", what?.sql ?? what?.statement],
    ["Where", join([where?.environment, where?.database, where?.upstream], " / ")],
    ["Rule", alert.rule],
    ["Request", join([alert.request, alert.url])],
    ["When", alert.time],
    ["Times", alert.times > 1 ? String(alert.times) : undefined],
    ["Alert", `${alert.alert} (${alert.severity})`],
    ["Next", alert.next],
  ];
  return facts.filter((fact): fact is [string, string] => (fact[1] ?? "") !== "");
}

function claimed(who: AlertWho | undefined): string | undefined {
  return who?.claimed === undefined ? undefined : `somebody who says to be "${who.claimed}"`;
}

function roles(who: AlertWho | undefined): string | undefined {
  return who?.roles === undefined ? undefined : `(${who.roles.join(", ")})`;
}

function from(who: AlertWho | undefined): string | undefined {
  if (who?.address === undefined) return undefined;
  return `from ${join([who.address, who.application_name]) ?? ""}`;
}

function join(parts: readonly (string | undefined)[], by = " "): string | undefined {
  const there = parts.filter((part) => part !== undefined && part !== "");
  return there.length === 0 ? undefined : there.join(by);
}
