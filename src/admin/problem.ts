import type { FastifyReply } from "fastify";
import { z } from "zod";
import { SQLSTATE, TwokeyError } from "../base/errors.ts";

/** What a client can tell apart; the last part of a problem's `type`. */
export const PROBLEMS = {
  "invalid-request": 400,
  "not-signed-in": 401,
  "not-allowed": 403,
  "not-found": 404,
  "wrong-state": 409,
  "approval-refused": 422,
  "too-many-requests": 429,
  "internal-error": 500,
  unavailable: 503,
} as const satisfies Record<string, number>;

export type ProblemName = keyof typeof PROBLEMS;

/** The body of every answer that is not a success (RFC 9457, "Problem Details for HTTP APIs"). */
export const problemSchema = z.object({
  type: z.string().meta({ examples: ["urn:twokey:problem:not-found"] }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  hint: z.string().optional(),
});

/** Ends a handler with a problem; `detail` and `hint` read like the messages of a {@link TwokeyError}. */
export class Problem extends Error {
  readonly problem: ProblemName;
  readonly hint: string | undefined;

  constructor(problem: ProblemName, detail: string, hint?: string) {
    super(detail);
    this.problem = problem;
    this.hint = hint;
  }
}

/** The problem that whatever was thrown is told as; what nobody meant to throw is told without its text. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof z.ZodError) return new Problem("invalid-request", describeIssues(error));
  if (error instanceof TwokeyError) {
    const isForNow = error.sqlstate === SQLSTATE.ioError || error.sqlstate.startsWith("08");
    if (isForNow) return new Problem("unavailable", error.message, error.hint);
    return new Problem("invalid-request", error.message, error.hint);
  }
  const status = error instanceof Error && "statusCode" in error ? error.statusCode : 500;
  if (status === 429) return new Problem("too-many-requests", "too many requests, try again later");
  // Fastify's own: a body that is no JSON, too large, of another media type.
  if (typeof status === "number" && status >= 400 && status < 500 && error instanceof Error) {
    return new Problem("invalid-request", error.message);
  }
  return new Problem("internal-error", "internal error", "the running log has the cause");
}

function describeIssues({ issues }: z.ZodError): string {
  return issues
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`))
    .join("; ");
}

export function sendProblem(
  reply: FastifyReply,
  { problem, message, hint }: Problem,
): FastifyReply {
  const status = PROBLEMS[problem];
  const body: z.infer<typeof problemSchema> = {
    type: `urn:twokey:problem:${problem}`,
    title: problem.replaceAll("-", " "),
    status,
    detail: message,
    hint,
  };
  return reply
    .code(status)
    .type("application/problem+json")
    .serializer((payload) => JSON.stringify(payload))
    .send(body);
}
