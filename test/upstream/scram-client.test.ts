import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ScramServer } from "../../src/auth/scram-server.ts";
import { makeVerifier } from "../../src/auth/verifier.ts";
import { ProtocolViolation } from "../../src/base/errors.ts";
import { Secret } from "../../src/base/secret.ts";
import { ScramClient } from "../../src/upstream/scram-client.ts";

function client(password = "pencil"): ScramClient {
  return new ScramClient({
    password: new Secret(password),
    nonce: "client",
    channelBinding: { kind: "unsupported" },
  });
}

describe("the client's half of SCRAM", () => {
  it("and the server's agree on any password, and on nothing else", async () => {
    const password = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" });
    await fc.assert(
      fc.asyncProperty(password, fc.boolean(), async (word, isRight) => {
        const verifier = await makeVerifier(new Secret(word), { iterations: 10 });
        const server = new ScramServer({
          verifiers: [verifier],
          nonce: "server",
          channelBinding: undefined,
        });
        const scram = client(isRight ? word : `${word}x`);
        const challenge = server.clientFirst("SCRAM-SHA-256", scram.clientFirst());
        if (challenge.kind !== "continue") throw new Error(challenge.kind);
        const outcome = server.clientFinal(await scram.clientFinal(challenge.message));
        expect(outcome.kind).toBe(isRight ? "verified" : "failed");
        if (outcome.kind === "verified") scram.verifyServerFinal(outcome.message);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ["no field", ""],
    ["an error", "e=other-error"],
    ["a nonce that isn't ours", "r=other,s=QUJD,i=4096"],
    ["a nonce that adds nothing", "r=client,s=QUJD,i=4096"],
    ["no salt", "r=clientx,s=,i=4096"],
    ["a salt that is no base64", "r=clientx,s=a_b,i=4096"],
    ["a huge salt", `r=clientx,s=${Buffer.alloc(2000).toString("base64")},i=4096`],
    ["no iterations", "r=clientx,s=QUJD,i=0"],
    ["iterations that would never end", "r=clientx,s=QUJD,i=2000000"],
    ["iterations out of all bounds", "r=clientx,s=QUJD,i=99999999999999999999"],
    ["a mandatory extension", "m=x,r=clientx,s=QUJD,i=4096"],
    ["something behind it", "r=clientx,s=QUJD,i=4096,x=y"],
  ])("refuses a challenge with %s", async (_, challenge) => {
    await expect(client().clientFinal(challenge)).rejects.toBeInstanceOf(ProtocolViolation);
  });

  it("refuses a server that can't sign", async () => {
    const scram = client();
    expect(() => {
      scram.verifyServerFinal("v=AAAA");
    }, "before it was asked").toThrow(ProtocolViolation);
    await scram.clientFinal("r=clientx,s=QUJD,i=10");
    for (const final of [
      "",
      "v=",
      `v=${Buffer.alloc(32).toString("base64")}`,
      "e=invalid-proof",
      "ok",
    ]) {
      expect(() => {
        scram.verifyServerFinal(final);
      }, final).toThrow(ProtocolViolation);
    }
  });
});
