import { expect, it } from "vitest";
import { SignIn, LOGIN_NAMESPACE } from "../../src/admin/sign-in.ts";
import { signSshsig } from "../../src/approvals/sshsig.ts";
import { keyOf, newRegistry } from "./harness.ts";

it("keeps a person's twenty newest tokens", () => {
  const signIn = new SignIn({ audience: () => "here", registry: newRegistry, now: () => 0 });
  const tokens = Array.from({ length: 21 }, () => {
    const challenge = signIn.challenge("bob");
    const signature = signSshsig(keyOf("bob"), { message: challenge, namespace: LOGIN_NAMESPACE });
    const result = signIn.redeem({ challenge, signature });
    return result.kind === "signed_in" ? result.token : "";
  });
  expect(tokens.map((token) => signIn.personOf(token))).toEqual([
    undefined,
    ...Array.from({ length: 20 }, () => "bob"),
  ]);
});
