import { formatPublicKey } from "../../src/approvals/ssh-key.ts";
import { APPROVAL_NAMESPACE } from "../../src/approvals/sshsig.ts";
import { ALICE, BOB } from "./people.ts";

const KEY = formatPublicKey(BOB.publicKey);

/**
 * Lines of allowed_signers, read at 2026-11-23T17:00:00Z with bob's key in hand. Each is also put to `ssh-keygen -Y verify`, in
 * test/integration/sshsig.test.ts: two readers, one opinion.
 */
export const SIGNER_LINES: readonly (readonly [line: string, principal: string, kind: string])[] = [
  [`bob ${KEY}`, "bob", "allowed"],
  [`bob ${KEY} a comment "with quotes`, "bob", "allowed"],
  [` \t bob \t ${KEY}`, "bob", "allowed"],
  [`"bob" ${KEY}`, "bob", "allowed"],
  [`alice,bob ${KEY}`, "bob", "allowed"],
  [`bob ${KEY}`, "Bob", "other_principal"],
  [`bob ${KEY}`, "bo", "other_principal"],
  [`b?b ${KEY}`, "bob", "allowed"],
  [`*@example.com ${KEY}`, "bob@example.com", "allowed"],
  [`*@example.com ${KEY}`, "bob@example.community", "other_principal"],
  [`*,!bob ${KEY}`, "bob", "other_principal"],
  [`!bob,* ${KEY}`, "carol", "allowed"],
  [`!carol ${KEY}`, "bob", "other_principal"],
  [`bob namespaces="${APPROVAL_NAMESPACE}" ${KEY}`, "bob", "allowed"],
  [`bob NameSpaces="git,approval@*" ${KEY}`, "bob", "allowed"],
  [`bob namespaces="git" ${KEY}`, "bob", "other_namespace"],
  [`bob namespaces="*,!approval@twokey" ${KEY}`, "bob", "other_namespace"],
  [`bob valid-after="20261123165959Z" ${KEY}`, "bob", "allowed"],
  [`bob valid-after="20261123170000Z" ${KEY}`, "bob", "allowed"],
  [`bob valid-after="20261123170001Z" ${KEY}`, "bob", "not_yet_valid"],
  [`bob valid-before="20261123170000Z" ${KEY}`, "bob", "allowed"],
  [`bob valid-before="20261123165959Z" ${KEY}`, "bob", "no_longer_valid"],
  [`bob valid-before="20261122" ${KEY}`, "bob", "no_longer_valid"],
  [
    `bob valid-after="202611220000",valid-before="20261125Z",namespaces="*" ${KEY}`,
    "bob",
    "allowed",
  ],
  [`bob cert-authority ${KEY}`, "bob", "unknown_key"],
  [`# bob ${KEY}`, "bob", "unknown_key"],
  [`bob ${formatPublicKey(ALICE.publicKey)}`, "bob", "unknown_key"],
  [`bob namespaces="git" ${KEY}\n\nbob ${KEY}`, "bob", "allowed"],
];
