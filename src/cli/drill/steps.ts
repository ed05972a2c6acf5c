import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asText, parseRecord, type LoggedRecord } from "../../audit/record.ts";
import { SQLSTATE } from "../../base/errors.ts";
import { listAuditFiles } from "../../store/audit-file-names.ts";
import type { Stage } from "../demo/stage.ts";
import { isOnPath } from "../on-path.ts";
import { runWithDriver, runWithPsql, type Outcome, type Seat } from "./clients.ts";
import { approve, audit } from "./commands.ts";

/** What the steps find out and hand on. */
export interface Scene {
  readonly stage: Stage;
  readonly env: NodeJS.ProcessEnv;
  /** The request that the first refusal opened. */
  request?: string;
  /** The record of the statement that ran. */
  culprit?: LoggedRecord;
}

export interface Step {
  readonly title: string;
  readonly play: (scene: Scene) => Promise<Played>;
}

interface Played {
  readonly ok: boolean;
  /** What was answered; or what was seen instead of what had to be. */
  readonly seen: string;
  readonly durationMs: number;
}

/** How one step went; `seen` is what was answered, or what was seen instead. */
export interface StepResult {
  readonly step: number;
  readonly title: string;
  readonly ok: boolean;
  readonly seen: string;
  readonly duration_ms: number;
}

const THE_STATEMENT = "DROP DATABASE shop";

/** That morning, and what somebody would try next. */
export const STEPS: readonly Step[] = [
  step(
    "alice types DROP DATABASE with her own credential: refused",
    (scene) =>
      isOnPath("psql", scene.env)
        ? runWithPsql(seatOf(scene), THE_STATEMENT, scene.env)
        : runWithDriver(seatOf(scene), { text: THE_STATEMENT }),
    async (outcome, scene) => {
      const refusal = expectRefusal(outcome);
      await expectShop(scene, { exists: true });
      await expectNoWayAround(scene);
      const request = /\bR-\w+/.exec(refusal.detail)?.[0];
      if (request === undefined) throw new Error(`no request in: ${refusal.detail}`);
      scene.request = request;
      return `${refusal.message} (${request})`;
    },
  ),
  step(
    "a program sends it as a prepared statement: refused",
    (scene) => runWithDriver(seatOf(scene), { name: "innocent", text: THE_STATEMENT }),
    refusedAndShopIsThere,
  ),
  step(
    "alice signs for it herself: refused",
    ({ stage, env, request = "" }) => approve(stage, { person: stage.alice, request, env }),
    (answer) => {
      if (answer.status !== 1) throw new Error(answer.text);
      return answer.text;
    },
  ),
  step(
    "bob signs for it, and alice runs another statement: refused",
    async (scene) => {
      const { stage, env, request = "" } = scene;
      const answer = await approve(stage, { person: stage.bob, request, env });
      if (answer.status !== 0) throw new Error(answer.text);
      return runWithDriver(seatOf(scene), { text: `${THE_STATEMENT} WITH (FORCE)` });
    },
    refusedAndShopIsThere,
  ),
  step(
    "the statement that bob signed for: it runs",
    (scene) => runWithDriver(seatOf(scene), { text: THE_STATEMENT }),
    async (outcome, scene) => {
      if (outcome.kind === "error") throw new Error(outcome.message);
      await expectShop(scene, { exists: false });
      return "the shop is gone, as two people wanted it";
    },
  ),
  step(
    "the same once more, on a shop made anew: refused",
    async (scene) => {
      await scene.stage.asAdministrator("postgres", (client) =>
        client.query("CREATE DATABASE shop OWNER twokey"),
      );
      return runWithDriver(seatOf(scene), { text: THE_STATEMENT });
    },
    refusedAndShopIsThere,
  ),
  step(
    "who dropped it? The log answers",
    async ({ stage }) => {
      const about = ["--object", "database:shop", "--event", "statement.decided"];
      const decided = await search(stage, about);
      const culprit = decided.find(({ fields }) => fields["approval"] !== undefined);
      if (culprit === undefined) throw new Error("no record of it");
      const request = asText(culprit.fields["request"]);
      const [signed] = await search(stage, ["--request", request, "--event", "approval.signed"]);
      return { culprit, signer: asText(signed?.fields["person"]) };
    },
    ({ culprit, signer }, scene) => {
      const who = asText(culprit.fields["person"]);
      if (who !== "alice" || signer !== "bob") throw new Error(`${who}, signed for by ${signer}`);
      scene.culprit = culprit;
      const time = culprit.time.slice(11, 19);
      return `alice, at ${time} UTC, signed for by bob (record ${culprit.seq})`;
    },
  ),
  step(
    "somebody edits one byte of that record: audit verify names it",
    async ({ stage, culprit }) => {
      if (culprit === undefined) throw new Error("no record to edit");
      const edited = join(stage.directory, "edited-log");
      cpSync(stage.auditDirectory, edited, { recursive: true });
      const key = join(stage.directory, "data", "audit-key.pem.pub");
      const verify = ["verify", "--dir", edited, "--key", key];
      const before = await audit(verify);
      editOneByte(edited, culprit);
      return { before, after: await audit(verify), seq: culprit.seq };
    },
    ({ before, after, seq }) => {
      if (before.status !== 0) throw new Error(`before the edit: ${before.text}`);
      const [seen = "", named] = /first bad record: (\d+)[^(]*/.exec(after.text) ?? [];
      if (after.status !== 1 || named !== String(seq)) throw new Error(after.text);
      return seen.trim();
    },
  ),
];

/** Something that is tried, which is what its time is taken of, and what has to have come of it. */
function step<T>(
  title: string,
  attempt: (scene: Scene) => Promise<T>,
  judge: (told: T, scene: Scene) => Promise<string> | string,
): Step {
  const play = async (scene: Scene): Promise<Played> => {
    const began = performance.now();
    let endedAt: number | undefined;
    try {
      const told = await attempt(scene);
      endedAt = performance.now();
      return { ok: true, seen: await judge(told, scene), durationMs: endedAt - began };
    } catch (error) {
      const seen = error instanceof Error ? error.message : String(error);
      return { ok: false, seen, durationMs: (endedAt ?? performance.now()) - began };
    }
  };
  return { title, play };
}

async function refusedAndShopIsThere(outcome: Outcome, scene: Scene): Promise<string> {
  const refusal = expectRefusal(outcome);
  await expectShop(scene, { exists: true });
  return refusal.message;
}

/** Nobody's credential for Twokey opens the server behind it. */
async function expectNoWayAround(scene: Scene): Promise<void> {
  const direct = { ...seatOf(scene), port: scene.stage.postgresPort };
  const outcome = await runWithDriver(direct, { text: THE_STATEMENT });
  const isTurnedAway = outcome.kind === "error" && outcome.sqlstate === SQLSTATE.invalidPassword;
  if (!isTurnedAway) throw new Error("alice gets into the server past Twokey");
}

function seatOf({ stage }: Scene): Seat {
  return { stage, person: stage.alice, database: "postgres" };
}

function expectRefusal(outcome: Outcome): Extract<Outcome, { kind: "error" }> {
  if (outcome.kind === "done") throw new Error("it was not refused");
  if (outcome.sqlstate !== SQLSTATE.insufficientPrivilege) {
    throw new Error(`it failed otherwise: ${outcome.sqlstate} ${outcome.message}`);
  }
  return outcome;
}

async function expectShop({ stage }: Scene, { exists }: { exists: boolean }): Promise<void> {
  const { rowCount } = await stage.asAdministrator("postgres", (client) =>
    client.query("SELECT FROM pg_database WHERE datname = 'shop'"),
  );
  if ((rowCount === 1) !== exists) throw new Error(`the shop ${exists ? "is gone" : "is there"}`);
}

async function search(stage: Stage, args: readonly string[]): Promise<LoggedRecord[]> {
  const found = await audit(["search", "--dir", stage.auditDirectory, "--json", ...args]);
  if (found.status !== 0) throw new Error(found.text);
  return found.text.split("\n").map((line) => parseRecord(Buffer.from(line)));
}

/** In the person's name, as somebody would who wants it to have been another. */
function editOneByte(directory: string, { seq, fields }: LoggedRecord): void {
  const person = `"person":"${asText(fields["person"])}"`;
  for (const { path } of listAuditFiles(directory)) {
    const log = readFileSync(path);
    const line = log.indexOf(`{"seq":${seq},`);
    const name = line === -1 ? -1 : log.indexOf(person, line);
    if (name === -1) continue;
    const last = name + person.length - 2;
    log[last] = (log[last] ?? 0) ^ 1;
    writeFileSync(path, log);
    return;
  }
  throw new Error(`record ${seq} is in no file`);
}
