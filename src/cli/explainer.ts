import type { Config } from "../config/config.ts";
import type { AuthMethod, Client } from "../policy/client.ts";
import { decide, type DecisionInput } from "../policy/decide.ts";
import type { Decision } from "../policy/decision.ts";
import { onlyReads } from "../policy/principal.ts";
import { parseIpAddress } from "../policy/network.ts";
import type { Classification, StatementClassification } from "../sql/classification.ts";
import type { Dialect } from "../sql/classify.ts";
import { NEW_SESSION, ranAlone, type SqlSession } from "../sql/session.ts";
import { Classifier } from "../session/classifier.ts";

/** What is to be explained, and for whom and where it is to be decided. */
export interface Question {
  readonly sql: string;
  /** Run before, in this order, on the same connection. What does not parse has not run. */
  readonly setup: readonly string[];
  readonly user: string | undefined;
  readonly database: string | undefined;
  readonly dialect: Dialect | undefined;
}

export interface Answer {
  readonly classification: Classification;
  /** `undefined` without a configuration, a user or a database. */
  readonly decision: Decision | undefined;
  /** By each statement alone, where there are several. */
  readonly alone: readonly Decision[];
}

export interface Circumstances {
  /** `undefined` for the Unix socket. */
  readonly address: string | undefined;
  readonly applicationName: string;
  readonly hasTls: boolean;
  readonly method: AuthMethod;
  readonly at: Date;
}

/** Answers as the proxy would: with its classifier, its limits and its policy. */
export class Explainer {
  readonly #config: Config | undefined;
  readonly #circumstances: Circumstances;
  readonly #classifiers = new Map<Dialect, Classifier>();

  /** @param circumstances - of questions that bring none */
  constructor(config: Config | undefined, circumstances: Circumstances = USUAL) {
    this.#config = config;
    this.#circumstances = circumstances;
  }

  /** @throws Error for a user or a database that the configuration does not know, and an address that is none */
  async explain(
    { sql, setup, user, database, dialect }: Question,
    circumstances = this.#circumstances,
  ): Promise<Answer> {
    const where = this.#whereOf(user, database, circumstances.at);
    const classifier = this.#classifier(dialect ?? where?.dialect ?? "postgresql");
    let session: SqlSession = NEW_SESSION;
    for (const text of setup) {
      const before = await classifier.classify(text, session);
      if (before.kind === "parsed") session = ranAlone(session, before.statements);
    }
    const classification = await classifier.classify(sql, session);
    if (this.#config === undefined || where === undefined) {
      return { classification, decision: undefined, alone: [] };
    }
    const { policy } = this.#config;
    const input = { ...where.input, client: toClient(circumstances), at: circumstances.at };
    return {
      classification,
      decision: decide(policy, { ...input, classification }),
      alone: eachAlone(classification).map((one) =>
        decide(policy, { ...input, classification: one }),
      ),
    };
  }

  async close(): Promise<void> {
    for (const classifier of this.#classifiers.values()) await classifier.close();
  }

  #whereOf(
    user: string | undefined,
    database: string | undefined,
    at: Date,
  ):
    | { dialect: Dialect; input: Omit<DecisionInput, "classification" | "client" | "at"> }
    | undefined {
    const config = this.#config;
    const known = database === undefined ? undefined : config?.databases.get(database);
    if (config === undefined || database === undefined) return undefined;
    if (known === undefined) throw new Error(`no database "${database}" in ${config.file}`);
    if (user === undefined) return undefined;
    const principal = config.principals.get(user);
    if (principal === undefined) throw new Error(`nobody is called "${user}" in ${config.file}`);
    const { isDisabled, expiresAt } = principal;
    if (isDisabled || (expiresAt !== undefined && expiresAt <= at)) {
      throw new Error(`${user} may not log in: ${isDisabled ? "disabled" : "expired"}`);
    }
    const { kind, name, roles, onlyReads: reads } = principal;
    const { dialect, place, neighbours } = known;
    const readers = config.readOnly.get(place.environment) ?? [];
    const asked = { kind, name, roles, onlyReads: reads };
    const isReadOnly = onlyReads(asked, readers);
    return { dialect, input: { principal: asked, place, neighbours, isReadOnly } };
  }

  #classifier(dialect: Dialect): Classifier {
    const known = this.#classifiers.get(dialect);
    if (known !== undefined) return known;
    const classifier = new Classifier({
      dialect,
      ...(this.#config === undefined
        ? {}
        : {
            functions: this.#config.catalogue,
            maxTextBytes: this.#config.limits.maxStatementBytes,
          }),
    });
    this.#classifiers.set(dialect, classifier);
    return classifier;
  }
}

const USUAL: Circumstances = {
  address: undefined,
  applicationName: "",
  hasTls: true,
  method: "scram-sha-256",
  at: new Date(),
};

function toClient({ address, applicationName, hasTls, method }: Circumstances): Client {
  const parsed = address === undefined ? undefined : parseIpAddress(address);
  return { address: parsed, applicationName, hasTls, method };
}

/** The statements of a batch as if each had been sent by itself. */
function eachAlone(classification: Classification): Classification[] {
  if (classification.kind === "unparsed") return [];
  return classification.statements.map((statement: StatementClassification) => ({
    ...classification,
    statements: [statement],
    effects: statement.effects,
    destructive: statement.destructive,
    mustRefuse: statement.mustRefuse,
  }));
}
