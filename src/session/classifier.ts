import type { WorkerOptions } from "node:worker_threads";
import type { CatalogueExtension } from "../sql/catalogue.ts";
import type { Classification, ParsedClassification } from "../sql/classification.ts";
import { classify } from "../sql/classify.ts";
import type { Dialect } from "../sql/classify.ts";
import { isSlowToLex, warmUp } from "../sql/parser.ts";
import { holdsForShape, shapeOf } from "../sql/shape.ts";
import { isPlain } from "../sql/session.ts";
import type { SqlSession } from "../sql/session.ts";
import { TextCache } from "./text-cache.ts";
import { ClassifyThread, refusal } from "./classify-thread.ts";
import type { ClassifyRequest } from "./classify-worker.ts";

export interface ClassifierOptions {
  readonly dialect: Dialect;
  readonly functions?: CatalogueExtension;
  /** Longer texts are refused unread. */
  readonly maxTextBytes?: number;
  /** How long a text may occupy the worker thread before it is stopped. */
  readonly timeLimitMs?: number;
  /** What the cache may hold, texts and classifications together, as estimated. */
  readonly cacheBytes?: number;
  /** Of the thread; by default its heap is bounded. */
  readonly workerOptions?: WorkerOptions;
}

export interface ClassifierStats {
  readonly hits: number;
  readonly misses: number;
  /** Of the misses, those that did not have to be parsed. */
  readonly shapeHits: number;
  readonly cachedTexts: number;
  readonly cachedBytes: number;
  readonly threadRuns: number;
  readonly timeouts: number;
}

const INLINE_CHARACTERS = 4096;
const MAX_SHAPES = 2048;
const STATEMENT_BYTES = 600;
const OBJECT_BYTES = 100;

/**
 * Classifies for all sessions of one dialect. A text seen before costs one look-up; a short one is parsed at once; a
 * long one, or one that is slow to lex, in a thread that can be stopped.
 */
export class Classifier {
  readonly #dialect: Dialect;
  readonly #functions: CatalogueExtension | undefined;
  readonly #maxTextBytes: number;
  readonly #thread: ClassifyThread;
  readonly #cache: TextCache<Classification>;
  readonly #shapes = new Map<string, ParsedClassification>();
  #shapeHits = 0;
  #hits = 0;
  #misses = 0;

  constructor({
    dialect,
    functions,
    maxTextBytes = 8 * 1024 * 1024,
    timeLimitMs = 2000,
    cacheBytes = 32 * 1024 * 1024,
    workerOptions = { resourceLimits: { maxOldGenerationSizeMb: 1024 } },
  }: ClassifierOptions) {
    this.#dialect = dialect;
    this.#functions = functions;
    this.#maxTextBytes = maxTextBytes;
    this.#cache = new TextCache(cacheBytes);
    this.#thread = new ClassifyThread({ timeLimitMs, workerOptions });
  }

  /** Compiles the grammar and starts the thread: before the first client, not with it. */
  warmUp(): void {
    warmUp();
    this.#thread.start();
  }

  /** @returns a promise only where the text goes to the thread; it never rejects */
  classify(text: string, session: SqlSession): Classification | Promise<Classification> {
    const known = this.#cache.get(text);
    if (known !== undefined && holdsFor(known, session)) {
      this.#hits += 1;
      return known;
    }
    this.#misses += 1;
    if (isQuickToParse(text))
      return this.#remember(text, session, this.#classifyHere(text, session));
    if (Buffer.byteLength(text) > this.#maxTextBytes) {
      return refusal("too_large", `the statement is longer than ${this.#maxTextBytes} bytes`);
    }
    return this.#classifyInThread(text, session);
  }

  stats(): ClassifierStats {
    return {
      hits: this.#hits,
      misses: this.#misses,
      shapeHits: this.#shapeHits,
      cachedTexts: this.#cache.size,
      cachedBytes: this.#cache.bytes,
      threadRuns: this.#thread.runs,
      timeouts: this.#thread.timeouts,
    };
  }

  /** Refuses what is still waiting, and ends the thread. */
  async close(): Promise<void> {
    await this.#thread.close();
  }

  /** Parses, unless a text that differs in nothing but literals, and is not judged by them, was parsed before. */
  #classifyHere(text: string, session: SqlSession): Classification {
    const shape = this.#dialect === "postgresql" ? shapeOf(text) : undefined;
    const alike = shape === undefined ? undefined : this.#shapes.get(shape);
    if (alike !== undefined) {
      this.#shapeHits += 1;
      return { ...alike, text };
    }
    const classification = classify(text, this.#options(session));
    if (shape !== undefined && holdsForShape(classification, shape)) {
      if (this.#shapes.size >= MAX_SHAPES) this.#shapes.clear();
      this.#shapes.set(shape, classification);
    }
    return classification;
  }

  async #classifyInThread(text: string, session: SqlSession): Promise<Classification> {
    const request = { text, options: this.#options(session) };
    return this.#remember(text, session, await this.#thread.classify(request));
  }

  #options(session: SqlSession): ClassifyRequest["options"] {
    const functions = this.#functions;
    return { dialect: this.#dialect, session, ...(functions === undefined ? {} : { functions }) };
  }

  /** Keeps what holds for every session. */
  #remember(text: string, session: SqlSession, classification: Classification): Classification {
    // That the parser failed or was slow says nothing about the next time.
    const isLasting = classification.kind === "parsed" || classification.cause === "syntax";
    if (isLasting && holdsFor(classification, session)) {
      this.#cache.set(text, classification, weigh(text, classification));
    }
    return classification;
  }
}

/** True when a judgement of the text in a new session holds for this one too. */
function holdsFor(classification: Classification, session: SqlSession): boolean {
  return classification.kind === "unparsed" || !classification.dependsOnSession || isPlain(session);
}

function isQuickToParse(text: string): boolean {
  return text.length <= INLINE_CHARACTERS && !isSlowToLex(text);
}

/** What an entry costs, estimated: two bytes a character, and the classification's own objects. */
function weigh(text: string, classification: Classification): number {
  const statements = classification.kind === "parsed" ? classification.statements : [];
  const objects = statements.reduce((sum, statement) => sum + statement.objects.length, 0);
  return text.length * 2 + 200 + statements.length * STATEMENT_BYTES + objects * OBJECT_BYTES;
}
