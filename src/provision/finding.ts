/** Worst first. */
export const SEVERITIES = ["critical", "high", "medium", "low"] as const;

export type Severity = (typeof SEVERITIES)[number];

/** A way around Twokey, or something that makes one likelier. */
export interface Finding {
  /** What was looked for; docs/reference/doctor.md has them all. */
  readonly check: string;
  readonly severity: Severity;
  /** `upstream main`, `database shop` or `configuration`. */
  readonly where: string;
  readonly what: string;
  readonly why: string;
  /** SQL, a line of a file, or a setting. */
  readonly fix: string;
}

/** What could not be looked at: nothing is known of it, which is not the same as nothing being wrong. */
export interface Unseen {
  readonly check: string;
  readonly where: string;
  readonly why: string;
}

export interface Diagnosis {
  readonly findings: readonly Finding[];
  readonly unseen: readonly Unseen[];
}

/** Each once, worst first; within one severity by where it is. */
export function sortFindings(findings: readonly Finding[]): readonly Finding[] {
  const once = new Map(
    findings.map((finding) => [`${finding.check}\0${finding.where}\0${finding.what}`, finding]),
  );
  return [...once.values()].sort(
    (a, b) =>
      SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
      a.where.localeCompare(b.where) ||
      a.check.localeCompare(b.check),
  );
}
