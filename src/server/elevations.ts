import { randomUUID } from "node:crypto";
import { isSigned } from "../approvals/covers.ts";
import type { Registry } from "../approvals/admit.ts";
import { addSeconds, formatInstant, type Instant } from "../approvals/instant.ts";
import type { RequestId } from "../approvals/request-id.ts";
import type { RequestStore } from "../approvals/request-store.ts";
import type { Request, UseId } from "../approvals/request.ts";
import type { AccessOffer } from "../config/config.ts";
import type { Place } from "../policy/place.ts";
import type { Principal } from "../policy/principal.ts";
import type { AuditFile } from "../store/audit-file.ts";
import type { Log } from "../telemetry/log.ts";

interface ElevationParts {
  /** What may be lent; what is not offered any more has ended. */
  readonly offers: readonly Pick<AccessOffer, "name" | "role" | "forRoles">[];
  readonly store: RequestStore;
  readonly registry: () => Registry;
  readonly audit: AuditFile;
  /** Which replica this is. */
  readonly instance: string;
  readonly log: Log;
  readonly now: () => Date;
}

/** A role that somebody has for a while. */
interface Elevation {
  readonly request: RequestId;
  readonly person: string;
  readonly role: string;
  /** Roles of which it takes the place. */
  readonly inPlaceOf: readonly string[];
  readonly environment: string;
  readonly database: string;
  readonly endsAt: Instant;
}

const MAX_PAGES = 10;

/**
 * Who has which role for a while, by a signed request. It begins when the last signature has come: one replica takes the
 * request's only use, on record, and all of them count from that instant. It ends by itself.
 */
export class Elevations {
  readonly #parts: ElevationParts;
  #current: readonly Elevation[] = [];
  /** By principal and place, the principal with those roles: the same object while nothing changes. */
  #memo = new WeakMap<Principal, Map<string, { readonly key: string; readonly as: Principal }>>();
  #unsubscribe: (() => void) | undefined;
  /** What is under way, so that changes are taken up in their order. */
  #work: Promise<void> = Promise.resolve();

  constructor(parts: ElevationParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#unsubscribe = this.#parts.store.subscribe((notice) => {
      this.#enqueue(() => (notice.kind === "unknown" ? this.#loadAll() : this.#load(notice.id)));
    });
    await this.#loadAll();
  }

  /** Takes up what no change announces: a signature that is good only by now. */
  async refresh(): Promise<void> {
    this.#enqueue(() => this.#loadAll());
    await this.#work;
  }

  async close(): Promise<void> {
    this.#unsubscribe?.();
    await this.#work;
  }

  /** The principal as they are now at a place; the very same where nothing is elevated. */
  asOfNow(principal: Principal, { environment, database }: Place): Principal {
    if (this.#current.length === 0) return principal;
    const now = formatInstant(this.#parts.now());
    if (this.#current.every(({ endsAt }) => now >= endsAt)) this.#current = [];
    const here = this.#current.filter(
      (one) =>
        one.person === principal.name &&
        one.environment === environment &&
        one.database === database &&
        now < one.endsAt,
    );
    if (here.length === 0) return principal;
    const roles = here.map(({ role }) => role);
    const key = roles.join();
    const known = this.#memo.get(principal) ?? new Map<string, { key: string; as: Principal }>();
    this.#memo.set(principal, known);
    const before = known.get(database);
    if (before?.key === key) return before.as;
    // Rules that keep juniors out would keep out whoever is a junior besides.
    const left = here.flatMap(({ inPlaceOf }) => inPlaceOf);
    const others = principal.roles.filter((role) => !left.includes(role));
    const as = { ...principal, roles: [...new Set([...roles, ...others])], elevatedTo: roles };
    known.set(database, { key, as });
    return as;
  }

  #enqueue(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.#parts.log.error({ err: error }, "a signed request for a role could not be taken up");
    });
  }

  async #loadAll(): Promise<void> {
    let after: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const { requests, next } = await this.#parts.store.list({
        states: ["approved", "used"],
        limit: 200,
        ...(after !== undefined && { after }),
      });
      for (const request of requests) await this.#takeUp(request);
      after = next;
      if (after === undefined) return;
    }
  }

  async #load(id: RequestId): Promise<void> {
    const request = await this.#parts.store.get(id);
    if (request !== undefined) await this.#takeUp(request);
  }

  async #takeUp(request: Request): Promise<void> {
    if (request.asked.access === undefined) return;
    const { registry, now } = this.#parts;
    const signed = { registry: registry(), now: formatInstant(now()) };
    if (request.state.kind === "approved" && isSigned(request, signed)) await this.#begin(request);
    else if (request.state.kind === "used") this.#add(request);
  }

  /** Exactly one replica takes the use; the others see it taken. */
  async #begin(request: Request): Promise<void> {
    const { store, audit, instance, now } = this.#parts;
    const use = {
      id: randomUUID() as UseId,
      step: 0,
      instance,
      usedAt: formatInstant(now()),
    };
    const change = await store.consume(request.id, use);
    if (change.kind !== "moved") return;
    const { requester, environment, database, access } = request.asked;
    const record = audit.append({
      event: "approval.used",
      person: requester,
      environment,
      database,
      request: request.id,
      approval: request.approvals.map((_, index) => `${request.id}/${index + 1}`).join(" "),
      ...(access !== undefined && { access }),
      uses_left: 0,
    });
    await audit.synced(record);
    await store.settle(use.id);
    this.#add(change.request);
  }

  #add({ id, asked, uses: [use] }: Request): void {
    const { access, requester: person, environment, database } = asked;
    if (access === undefined || use === undefined) return;
    const endsAt = addSeconds(use.usedAt, access.seconds);
    const now = formatInstant(this.#parts.now());
    const others = this.#current.filter((one) => one.request !== id && now < one.endsAt);
    const { role } = access;
    const offer = this.#parts.offers.find((one) => one.name === asked.rule && one.role === role);
    const isOver = now >= endsAt || offer === undefined;
    const where = { person, environment, database };
    const added = { request: id, role, inPlaceOf: offer?.forRoles ?? [], ...where, endsAt };
    this.#current = isOver ? others : [...others, added];
  }
}
