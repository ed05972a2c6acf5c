import type { StepResult } from "./steps.ts";

/** What happened then, beside what happened just now, with the times that were measured. */
export function thatMorning(results: readonly StepResult[]): readonly string[] {
  const ms = (step: number): string => {
    const result = results.find((candidate) => candidate.step === step);
    return `${Math.round(result?.duration_ms ?? Number.NaN)} ms`;
  };
  const rows = [
    ["that morning", "with Twokey"],
    [
      "production's root password was on a laptop",
      "alice's opens Twokey only: the server turned it away",
    ],
    ["one shared root user", "alice asked, bob signed: two names, two keys"],
    ["DROP DATABASE just ran", `refused after ${ms(1)}; it ran once, after bob had signed`],
    [
      "45 minutes until somebody looked",
      `the refusal opened a request for bob within those ${ms(1)}`,
    ],
    ["105 minutes until they knew who", `"who dropped it" was answered in ${ms(7)}`],
    ["nobody could have told a forged log", `one byte edited: the record was named in ${ms(8)}`],
    ["five hours until it was back", "nothing was lost until two people had agreed"],
  ] as const;
  const width = Math.max(...rows.map(([then]) => then.length));
  const lines = rows.map(([then, now]) => `${then.padEnd(width)}  |  ${now}`);
  const longest = Math.max(...lines.map((line) => line.length));
  return [...lines.slice(0, 1), "-".repeat(longest), ...lines.slice(1)];
}
