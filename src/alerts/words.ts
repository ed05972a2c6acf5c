import { visibleText } from "../approvals/visible-text.ts";
import { sha256 } from "../base/digest.ts";
import type { AlertWhat, AlertWho } from "./alert.ts";
import type { What, Where, Who } from "./event.ts";

export interface Wording {
  readonly statements: "summary" | "text";
  /** Has `{request}` in it. */
  readonly requestUrl: string | undefined;
}

const MAX_LINE = 200;
const MAX_SQL = 1000;

export function who({ person, roles, address, applicationName }: Who): AlertWho {
  return { person, roles, address, application_name: line(applicationName) };
}

export function where({ environment, database }: Where): Where {
  return { environment, database };
}

export function what(
  { summary, sql }: Pick<What, "summary" | "sql">,
  { statements }: Wording,
): AlertWhat {
  return {
    statement: line(summary),
    ...(statements === "text" && { sql: cut(visibleText(sql), MAX_SQL) }),
    sql_sha256: sha256(sql),
  };
}

/** The command that shows what somebody did of late. */
export function audit(person: string): string {
  return `\`twokey audit search --person ${person} --since 1h\``;
}

/** `90 s`, `45 min`, `7 h`, `3 days`. */
export function span(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86_400)} days`;
}

/** Text from outside on one line of ours, with nothing in it that a terminal or a mail program would obey. */
export function line(text: string): string {
  return cut(visibleText(text).replaceAll(/\s+/g, " ").trim(), MAX_LINE);
}

function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  // Not through the middle of a character.
  return `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
