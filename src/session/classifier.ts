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
const MOST_SYMBOLS = 512;
const OPERATOR_WEIGHT = 3;
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
    const isShort = text.length <= INLINE_CHARACTERS && !isSlowToLex(text);
    const shape = isShort && this.#dialect === "postgresql" ? shapeOf(text) : undefined;
    const alike = shape === undefined ? undefined : this.#shapes.get(shape);
    if (alike !== undefined) {
      this.#shapeHits += 1;
      return this.#remember(text, session, { ...alike, text });
    }
    if (isShort && !hasManySymbols(text)) {
      const classification = classify(text, this.#options(session));
      this.#learn(shape, classification);
      return this.#remember(text, session, classification);
    }
    if (Buffer.byteLength(text) > this.#maxTextBytes) {
      return refusal("too_large", `the statement is longer than ${this.#maxTextBytes} bytes`);
    }
    return this.#classifyInThread(text, { session, shape });
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

  /** What differs from it in nothing but literals, and is not judged by them, need not be parsed. */
  #learn(shape: string | undefined, classification: Classification): void {
    if (shape === undefined || !holdsForShape(classification, shape)) return;
    if (this.#shapes.size >= MAX_SHAPES) this.#shapes.clear();
    this.#shapes.set(shape, classification);
  }

  async #classifyInThread(
    text: string,
    { session, shape }: { readonly session: SqlSession; readonly shape: string | undefined },
  ): Promise<Classification> {
    const request = { text, options: this.#options(session) };
    const classification = await this.#thread.classify(request);
    this.#learn(shape, classification);
    return this.#remember(text, session, classification);
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

/**
 * Whether a short text holds so many signs that reading and judging it could take tens of milliseconds: an IN list of
 * 1,900 numbers, `+1` a thousand times, strings of SQL by the hundred. Operators nest, so they weigh more; quotation
 * marks of names and their dots cost little.
 */
function hasManySymbols(text: string): boolean {
  if (text.length * OPERATOR_WEIGHT <= MOST_SYMBOLS) return false;
  let symbols = 0;
  for (let at = 0; at < text.length; at++) symbols += WEIGHTS[text.charCodeAt(at)] ?? 0;
  return symbols > MOST_SYMBOLS;
}

/** By character code: what begins or ends a token, but for letters, digits, blanks, and `"` and `.` of names. */
const WEIGHTS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[-+*/<>=~!@#%^&|`?:]/.test(character)) return OPERATOR_WEIGHT;
  return /[^\w\s".]/.test(character) ? 1 : 0;
});

/** What an entry costs, estimated: two bytes a character, and the classification's own objects. */
function weigh(text: string, classification: Classification): number {
  const statements = classification.kind === "parsed" ? classification.statements : [];
  const objects = statements.reduce((sum, statement) => sum + statement.objects.length, 0);
  return text.length * 2 + 200 + statements.length * STATEMENT_BYTES + objects * OBJECT_BYTES;
}
