import type { Decision } from "../policy/decision.ts";
import type {
  ParsedClassification,
  Reason,
  SqlObject,
  StatementClassification,
} from "../sql/classification.ts";
import { effectsInWords } from "./effect-words.ts";
import type { Answer } from "./explainer.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

type Colors = Terminal["colors"];

/** What a text does, statement by statement, and what is decided, for a person to read. */
export function describeAnswer(
  { classification, decision, alone }: Answer,
  { sql, colors }: { readonly sql: string; readonly colors: Colors },
): string[] {
  if (classification.kind === "unparsed") {
    const { message, position } = classification;
    const where = position === undefined ? "" : ` (${lineAndColumn(sql, position)})`;
    return [
      `${colors.bold("does not parse")}: ${visibleLine(message)}${where}`,
      ...describeDecision(decision, colors),
    ];
  }
  const { statements } = classification;
  if (statements.length === 0) return ["holds no statement", ...describeDecision(decision, colors)];
  const isBatch = statements.length > 1;
  return [
    ...statements.flatMap((statement, index) => [
      ...describeStatement(statement, { index, classification, colors }),
      ...describeDecision(isBatch ? alone[index] : decision, colors),
      "",
    ]),
    ...(isBatch && decision !== undefined
      ? [`sent at once, all ${statements.length}:`, ...describeDecision(decision, colors)]
      : []),
  ].slice(0, isBatch && decision !== undefined ? undefined : -1);
}

function describeStatement(
  statement: StatementClassification,
  {
    index,
    classification,
    colors,
  }: { index: number; classification: ParsedClassification; colors: Colors },
): string[] {
  const { summary, effects, destructive, mustRefuse, reach, objects, reasons, warnings } =
    statement;
  const marks = [
    ...(destructive ? [colors.red("destructive")] : []),
    ...(mustRefuse ? [colors.red("must be refused")] : []),
  ];
  return [
    colors.bold(`${index + 1}. ${visibleLine(summary)}`),
    field("effects", [...(effects.length > 0 ? effects : ["none"]), ...marks].join(", ")),
    ...(effects.length > 0 ? [field("", colors.dim(`it ${effectsInWords(effects)}`))] : []),
    ...(objects.length > 0 ? [field("objects", objects.map(describeObject).join(", "))] : []),
    ...(reach === "cluster" ? [field("reaches", "every database of the server")] : []),
    ...reasons.map((reason) => field("because", describeReason(reason, classification.text))),
    ...warnings.flatMap(({ name, why, safer }) => [
      field("warning", `${colors.yellow(name)}: ${visibleLine(why)}`),
      field("", `safer: ${visibleLine(safer)}`),
    ]),
  ];
}

function describeObject({ kind, schema, name }: SqlObject): string {
  return visibleLine(`${kind} ${schema === undefined ? "" : `${schema}.`}${name}`);
}

function describeReason({ of, because, at }: Reason, text: string): string {
  const piece =
    at === undefined ? "" : Buffer.from(text).toString("utf8", at.startByte, at.endByte).trim();
  const shown = piece.length > 80 ? `${piece.slice(0, 79)}…` : piece;
  return `${of}: ${visibleLine(because)}${shown === "" ? "" : `  «${visibleLine(shown)}»`}`;
}

function describeDecision(decision: Decision | undefined, colors: Colors): string[] {
  if (decision === undefined) return [];
  const { action, rule, environment } = decision;
  const by = `by rule "${rule}" of ${environment}`;
  switch (action) {
    case "allow":
      if (decision.observed === undefined) {
        return [field("decision", `${colors.green("allowed")} ${by}`)];
      }
      return [
        field(
          "decision",
          `${colors.yellow("allowed, as rules are only watched in")} ${environment}`,
        ),
        ...describeDecision(decision.observed, colors),
      ];
    case "block":
      return [field("decision", `${colors.red("refused")} ${by}`), ...told(decision)];
    case "require_approval": {
      const { approvers, signatures, maxUses, maxValiditySeconds, isReasonRequired, waits } =
        decision.terms;
      const terms = [
        `${signatures} ${signatures === 1 ? "signature" : "signatures"} of ${approvers.join(" or ")}`,
        `good for ${maxUses === 1 ? "one use" : `${maxUses} uses`} within ${inMinutes(maxValiditySeconds)}`,
        ...(isReasonRequired ? ["with a reason"] : []),
        waits === "hold"
          ? `held up to ${inMinutes(decision.terms.holdSeconds)}`
          : "refused until then",
      ];
      return [
        field("decision", `${colors.yellow("needs approval")} ${by}`),
        field("", terms.join(", ")),
        ...told(decision),
      ];
    }
  }
}

function told({
  message,
  hint,
}: {
  message: string | undefined;
  hint: string | undefined;
}): string[] {
  return [
    ...(message === undefined ? [] : [field("", visibleLine(message))]),
    ...(hint === undefined ? [] : [field("", `hint: ${visibleLine(hint)}`)]),
  ];
}

function inMinutes(seconds: number): string {
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}

function field(name: string, value: string): string {
  return `   ${name.padEnd(9)} ${value}`;
}

/** Of a 1-based position in characters. */
function lineAndColumn(text: string, position: number): string {
  const before = Array.from(text)
    .slice(0, position - 1)
    .join("");
  const lines = before.split("\n");
  return `line ${lines.length}, column ${Array.from(lines.at(-1) ?? "").length + 1}`;
}
