import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { admitReview } from "../../src/approvals/admit.ts";
import { approvedStatement } from "../../src/approvals/document.ts";
import { addSeconds, type Instant } from "../../src/approvals/instant.ts";
import { parseRequestId } from "../../src/approvals/request-id.ts";
import type { Change, ChangeNotice, RequestStore } from "../../src/approvals/request-store.ts";
import type { Asked, Request, Use, UseId } from "../../src/approvals/request.ts";
import { sha256 } from "../../src/base/digest.ts";
import { approvalBy, ASKED, countingApproval, NOW, REGISTRY, TERMS } from "../approvals/people.ts";

/** What both request stores keep. `open` gives one more replica of the same store, `clear` empties it. */
export interface RequestStoreUnderTest {
  open(): Promise<RequestStore>;
  clear(): Promise<void>;
  /** Changes a row behind the store's back. */
  tamper(statement: string): Promise<void>;
}

export const MAX_OPEN = 8;
const LATER = addSeconds(NOW, 3600);
const TIMES = { now: NOW, expiresAt: LATER };
const UNKNOWN = parseRequestId("R-000000");

export function describeRequestStore(underTest: RequestStoreUnderTest): void {
  let store: RequestStore;
  let replica: RequestStore;

  beforeEach(async () => {
    await underTest.clear();
    [store, replica] = [await underTest.open(), await underTest.open()];
  });
  afterEach(async () => {
    await Promise.all([store.close(), replica.close()]);
  });

  async function opened(asked: Asked = ASKED): Promise<Request> {
    const opening = await store.openOrJoin(asked, TIMES);
    if (opening.kind === "too_many_open") throw new Error("too many open");
    return opening.request;
  }

  async function approved(uses = 1, asked: Asked = ASKED): Promise<Request> {
    const request = await opened(asked);
    return moved(
      await store.addApproval(request.id, countingApproval("bob", request, { uses }), NOW),
    );
  }

  describe("a broken glass", () => {
    it("is found by its open review at every replica, until a second person has signed it", async () => {
      const asked = { ...ASKED, terms: { ...TERMS, breakGlass: ["seniors"] } };
      const request = await opened(asked);
      const alone = countingApproval("alice", request, { act: "break_glass", reason: "down" });
      const broken = moved(await store.addApproval(request.id, alone, NOW));
      expect(broken).toMatchObject({ state: { kind: "approved" }, review: { kind: "open" } });
      const due = { review: "open" as const, limit: 10 };
      expect((await replica.list(due)).requests).toEqual([broken]);

      const reminders = await Promise.all(
        [store, replica, store, replica].map((one) => one.remind(request.id, { times: 1 })),
      );
      expect(reminders.filter(({ kind }) => kind === "moved")).toHaveLength(1);

      const signed = approvalBy("bob", request, { act: "review", reason: "it was right" });
      const admission = admitReview(signed, { request, registry: REGISTRY, now: NOW });
      if (admission.kind !== "counts") throw new Error(admission.because.kind);
      const reviewed = moved(await replica.addReview(request.id, admission.review, NOW));
      expect(reviewed.review).toEqual({ kind: "signed", at: NOW, signed });
      expect((await store.list(due)).requests).toEqual([]);
      expect((await store.list({ review: "signed", limit: 10 })).requests).toEqual([reviewed]);
      expect(await store.remind(request.id, { times: 2 })).toMatchObject({ kind: "refused" });
    });
  });

  describe("opening", () => {
    it("gives back what was asked, at every replica", async () => {
      const request = await opened();
      expect(request).toMatchObject({ asked: ASKED, state: { kind: "pending" }, timesAsked: 1 });
      expect(await replica.get(request.id)).toEqual(request);
      expect(await store.get(UNKNOWN)).toBeUndefined();
    });

    it("joins the same refusals to one request, even when they race", async () => {
      const openings = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          (index % 2 === 0 ? store : replica).openOrJoin(ASKED, TIMES),
        ),
      );
      expect(openings.filter(({ kind }) => kind === "opened")).toHaveLength(1);
      expect(openings.filter(({ kind }) => kind === "joined")).toHaveLength(9);
      const { requests } = await store.list({ limit: 10 });
      expect(requests.map(({ timesAsked }) => timesAsked)).toEqual([10]);
    });

    it.each<[string, Partial<Asked>]>([
      ["person", { requester: "dave" }],
      ["database", { database: "shop2" }],
      ["environment", { environment: "staging" }],
      ["upstream", { upstream: "production-2" }],
      ["rule", { rule: "another" }],
      ["terms", { terms: { ...TERMS, signatures: 2 } }],
      ["statement", { statements: [approvedStatement("DROP DATABASE shop", "none")] }],
      ["values", { statements: [approvedStatement(ASKED.summary, [{ oid: 23, text: "1" }])] }],
    ])("opens another one for another %s", async (_, changed) => {
      await opened();
      expect(await store.openOrJoin({ ...ASKED, ...changed }, TIMES)).toMatchObject({
        kind: "opened",
      });
    });

    it("opens another one when the first is closed or its time is over", async () => {
      const first = await opened();
      await store.cancel(first.id, { by: "alice", now: NOW });
      const second = await opened();
      expect(second.id).not.toBe(first.id);
      const third = await store.openOrJoin(ASKED, {
        now: LATER,
        expiresAt: addSeconds(LATER, 60),
      });
      expect(third.kind).toBe("opened");
      expect(await store.get(second.id)).toMatchObject({ state: { kind: "expired", at: LATER } });
    });

    it("lets one requester have only so many open", async () => {
      for (let index = 0; index < MAX_OPEN; index++) await opened(asking(`DROP TABLE t${index}`));
      const one = await store.openOrJoin(asking("DROP TABLE one_too_many"), TIMES);
      expect(one).toEqual({ kind: "too_many_open", open: MAX_OPEN });
      expect(await store.openOrJoin(asking("DROP TABLE t0"), TIMES)).toMatchObject({
        kind: "joined",
      });
    });
  });

  describe("moving on", () => {
    it("is approved by as many people as the rule asks for, and expires with the first signature", async () => {
      const request = await opened({ ...ASKED, terms: { ...TERMS, signatures: 2 } });
      const until = addSeconds(NOW, 60);
      const bobs = countingApproval("bob", request, { validity: { from: NOW, until } });
      const one = moved(await store.addApproval(request.id, bobs, NOW));
      expect(one.state.kind).toBe("pending");
      expect(await replica.addApproval(request.id, bobs, NOW)).toMatchObject({
        because: { kind: "already_signed" },
      });
      const carols = countingApproval("carol", request);
      const two = moved(await replica.addApproval(request.id, carols, NOW));
      expect(two).toMatchObject({ state: { kind: "approved" }, expiresAt: until });
      expect(two.approvals).toEqual([bobs.signed, carols.signed]);
      expect(await store.get(request.id)).toEqual(two);
    });

    it("refuses an approval made for another request", async () => {
      const [request, other] = [await opened(), await opened(asking("DROP TABLE other"))];
      expect(
        await store.addApproval(request.id, countingApproval("bob", other), NOW),
      ).toMatchObject({ kind: "refused", because: { kind: "other_request" } });
    });

    it("closes once, whoever comes first", async () => {
      const request = await opened();
      const changes = await Promise.all([
        store.reject(request.id, { by: "bob", reason: "not today", now: NOW }),
        replica.cancel(request.id, { by: "alice", now: NOW }),
        replica.reject(request.id, { by: "carol", reason: "no", now: NOW }),
      ]);
      expect(changes.filter(({ kind }) => kind === "moved")).toHaveLength(1);
      const late = await store.addApproval(request.id, countingApproval("bob", request), NOW);
      expect(late).toMatchObject({ kind: "refused", because: { kind: "closed" } });
      expect(await store.cancel(UNKNOWN, { by: "alice", now: NOW })).toEqual({
        kind: "unknown_request",
      });
    });

    it("expires what is due, and only that", async () => {
      const [due, approvedOne] = [await opened(asking("DROP TABLE due")), await approved()];
      const lasting = moved(
        await store.cancel((await opened(asking("DROP TABLE gone"))).id, { by: "a", now: NOW }),
      );
      expect(await store.expire(NOW)).toEqual([]);
      const expired = await replica.expire(LATER);
      expect(expired.map(({ id }) => id).sort()).toEqual([due.id, approvedOne.id].sort());
      expect(expired.every(({ state }) => state.kind === "expired")).toBe(true);
      expect(await store.get(lasting.id)).toEqual(lasting);
      expect(await store.expire(LATER)).toEqual([]);
    });
  });

  describe("using", () => {
    it("hands a single use to exactly one of many, round after round", async () => {
      for (let round = 0; round < 20; round++) {
        const request = await approved(1, asking(`DROP TABLE round${round}`));
        const changes = await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            (index % 2 === 0 ? store : replica).consume(request.id, use(0)),
          ),
        );
        const won = changes.filter(({ kind }) => kind === "moved");
        expect(won).toHaveLength(1);
        const after = await store.get(request.id);
        expect(after).toMatchObject({ state: { kind: "used" } });
        expect(after?.uses).toHaveLength(1);
      }
    });

    it("counts the steps of several statements and several uses", async () => {
      const statements = [approvedStatement("DROP TABLE a", "none"), approvedStatement("x", "any")];
      const request = await approved(2, { ...ASKED, statements });
      expect(await store.consume(request.id, use(1))).toMatchObject({
        because: { kind: "step_taken" },
      });
      for (let step = 0; step < 4; step++) {
        expect(await replica.consume(request.id, use(step))).toMatchObject({ kind: "moved" });
      }
      expect(await store.consume(request.id, use(4))).toMatchObject({
        because: { kind: "closed", state: "used" },
      });
    });

    it("refuses what is pending, out of time or unknown", async () => {
      const pending = await opened();
      expect(await store.consume(pending.id, use(0))).toMatchObject({
        because: { kind: "not_approved" },
      });
      const late = moved(
        await store.addApproval(pending.id, countingApproval("bob", pending), NOW),
      );
      expect(await store.consume(late.id, use(0, LATER))).toMatchObject({
        because: { kind: "closed", state: "expired" },
      });
      expect(await store.consume(UNKNOWN, use(0))).toEqual({ kind: "unknown_request" });
    });

    it("knows the uses that are not on record yet", async () => {
      const request = await approved(2);
      const [first, second] = [use(0), use(1)];
      await store.consume(request.id, first);
      await store.consume(request.id, second);
      await store.settle(first.id);
      expect(await replica.unsettled()).toEqual([{ request: request.id, use: second }]);
    });

    it("believes no row whose columns and body disagree", async () => {
      const request = await approved(1);
      await store.consume(request.id, use(0));
      await underTest.tamper("update requests set state = 'approved'");
      await expect(store.get(request.id)).rejects.toThrow("changed by another hand");
      await expect(store.consume(request.id, use(0))).rejects.toThrow("changed by another hand");
      await expect(store.list({ limit: 1 })).rejects.toThrow("changed by another hand");
    });

    it("refuses a step that was taken, even if the whole row was put back as it had been", async () => {
      const request = await approved(1);
      await underTest.tamper("create table kept as select * from requests");
      await store.consume(request.id, use(0));
      await underTest.tamper(
        "update requests set (state, open_key, body) = (select state, open_key, body from kept)",
      );
      await underTest.tamper("drop table kept");
      expect(await store.get(request.id)).toMatchObject({ state: { kind: "approved" } });
      await expect(store.consume(request.id, use(0))).rejects.toThrow("forgot that it was used");
    });
  });

  describe("listing", () => {
    it("pages through, the newest first", async () => {
      const ids: string[] = [];
      for (let index = 0; index < 5; index++) {
        const now = addSeconds(NOW, Math.floor(index / 2));
        const opening = await store.openOrJoin(asking(`DROP TABLE t${index}`), { ...TIMES, now });
        if (opening.kind === "opened") ids.push(`${now} ${opening.request.id}`);
      }
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await replica.list({ limit: 2, ...(after === undefined ? {} : { after }) });
        seen.push(...page.requests.map(({ createdAt, id }) => `${createdAt} ${id}`));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(ids.sort().reverse());
    });

    it("finds by state, person, place and statement", async () => {
      const mine = await approved();
      const other = await opened({
        ...asking("DROP TABLE t"),
        requester: "dave",
        database: "hr",
        environment: "staging",
      });
      const found = async (filter: object): Promise<string[]> =>
        (await store.list({ ...filter, limit: 10 })).requests.map(({ id }) => id);
      expect(await found({ states: ["approved", "used"] })).toEqual([mine.id]);
      expect(await found({ states: ["pending"] })).toEqual([other.id]);
      expect(await found({ requester: "dave" })).toEqual([other.id]);
      expect(await found({ database: "shop" })).toEqual([mine.id]);
      expect(await found({ environment: "staging" })).toEqual([other.id]);
      expect(await found({ statement: sha256("DROP TABLE t") })).toEqual([other.id]);
      expect(await found({ statement: sha256("DROP TABLE t"), requester: "alice" })).toEqual([]);
    });
  });

  it("tells every replica that something changed", async () => {
    const heard = new Promise<ChangeNotice>((resolve) => {
      replica.subscribe(resolve);
    });
    const here = new Promise<ChangeNotice>((resolve) => {
      const stop = store.subscribe((change) => {
        stop();
        resolve(change);
      });
    });
    const request = await opened();
    expect(["request", "unknown"]).toContain((await heard).kind);
    expect(await here).toEqual({ kind: "request", id: request.id });
  });
}

function asking(sql: string): Asked {
  return { ...ASKED, statements: [approvedStatement(sql, "none")], summary: sql };
}

function use(step: number, usedAt: Instant = NOW): Use {
  return { id: randomUUID() as UseId, step, instance: "replica-1", usedAt };
}

function moved(change: Change): Request {
  if (change.kind === "moved") return change.request;
  throw new Error(`not moved: ${JSON.stringify(change)}`);
}
