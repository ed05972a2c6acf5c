import type { RequestStore } from "../approvals/request-store.ts";
import type { AuditFile } from "../store/audit-file.ts";

/**
 * Puts uses on record that this instance had taken and not settled when it was killed: the signature is used up, and
 * nobody can tell any more whether its statement was sent.
 */
export async function settleUses(
  { store, audit }: { readonly store: RequestStore; readonly audit: AuditFile },
  instance: string,
): Promise<void> {
  for (const { request: id, use } of await store.unsettled()) {
    if (use.instance !== instance) continue;
    const request = await store.get(id);
    if (request === undefined) continue;
    const { requester, environment, database } = request.asked;
    const record = audit.append({
      event: "approval.used",
      person: requester,
      environment,
      database,
      request: id,
      approval: use.id,
      recovered: true,
    });
    await audit.synced(record);
    await store.settle(use.id);
  }
}
