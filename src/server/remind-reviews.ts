import type { RequestStore } from "../approvals/request-store.ts";

/**
 * Reminds people of what was run by breaking the glass, every `everyMs` from then on until a second person has signed
 * the review; of several replicas, one does.
 *
 * @param requests - gives notice of what it takes
 */
export async function remindOfReviews(
  requests: RequestStore,
  { everyMs, now }: { readonly everyMs: number; readonly now: Date },
): Promise<void> {
  let after: string | undefined;
  do {
    const page = await requests.list({
      review: "open",
      limit: 200,
      ...(after !== undefined && { after }),
    });
    for (const { id, review } of page.requests) {
      if (review?.kind !== "open") continue;
      const times = Math.floor((now.getTime() - Date.parse(review.since)) / everyMs);
      if (times > review.reminders) await requests.remind(id, { times });
    }
    after = page.next;
  } while (after !== undefined);
}
