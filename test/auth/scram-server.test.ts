import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { Secret } from "../../src/base/secret.ts";
import { ScramServer, type ScramMechanism } from "../../src/auth/scram-server.ts";
import { makeVerifier, type ScramVerifier } from "../../src/auth/verifier.ts";
import { ScramClient, type ChannelBinding } from "../../src/upstream/scram-client.ts";

// The exchange of RFC 7677 §3.
const RFC = {
  salt: Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"),
  serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  serverFirst:
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  clientFinal:
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};
const HASH = Buffer.alloc(32, 9);

let verifier: ScramVerifier;

beforeAll(async () => {
  verifier = await makeVerifier(new Secret("pencil"), { salt: RFC.salt });
});

function server(channelBinding?: Buffer): ScramServer {
  return new ScramServer({ verifiers: [verifier], nonce: RFC.serverNonce, channelBinding });
}

describe("SCRAM-SHA-256", () => {
  it("goes as in RFC 7677", () => {
    const scram = server();
    expect(scram.clientFirst("SCRAM-SHA-256", RFC.clientFirst)).toEqual({
      kind: "continue",
      message: RFC.serverFirst,
    });
    expect(scram.clientFinal(RFC.clientFinal)).toMatchObject({
      kind: "verified",
      message: RFC.serverFinal,
    });
  });

  it("does not verify the final message with any one character changed, added or removed", () => {
    const changes = fc.tuple(
      fc.nat({ max: RFC.clientFinal.length }),
      fc.integer({ min: 0, max: 1 }),
      fc.constantFrom("", "A", "z", "0", "=", ",", "\0", "ä"),
    );
    fc.assert(
      fc.property(changes, ([at, removed, inserted]) => {
        const changed =
          RFC.clientFinal.slice(0, at) + inserted + RFC.clientFinal.slice(at + removed);
        fc.pre(changed !== RFC.clientFinal);
        const scram = server();
        scram.clientFirst("SCRAM-SHA-256", RFC.clientFirst);
        expect(scram.clientFinal(changed).kind).toBe("failed");
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ["an authority other than the user", "n,a=admin,n=user,r=abc"],
    ["a mandatory extension", "n,,m=x,n=user,r=abc"],
    ["no nonce", "n,,n=user"],
    ["an empty nonce", "n,,n=user,r="],
    ["a nonce that isn't printable", "n,,n=user,r=a\x07b"],
    ["a nonce that isn't ASCII", "n,,n=user,r=ä"],
    ["an unknown binding flag", "x,,n=user,r=abc"],
    ["another binding", "p=tls-unique,,n=user,r=abc"],
    ["no gs2 header", "n=user,r=abc"],
    ["a line break behind it", "n,,n=user,r=abc\n"],
    ["nothing", ""],
  ])("refuses a first message with %s", (_, message) => {
    expect(server(HASH).clientFirst("SCRAM-SHA-256", message)).toEqual({
      kind: "failed",
      reason: "malformed",
    });
  });

  it.each([
    ["another nonce", RFC.clientFinal.replace("%hv", "%hw"), "malformed"],
    ["only the client's nonce", RFC.clientFinal.replace(RFC.serverNonce, ""), "malformed"],
    ["a short proof", `${RFC.clientFinal.slice(0, -44)}AAAA`, "malformed"],
    ["no proof", RFC.clientFinal.slice(0, -47), "malformed"],
    ["another gs2 header", RFC.clientFinal.replace("c=biws", "c=eSws"), "channel_binding"],
    [
      "another password's proof",
      `${RFC.clientFinal.slice(0, -44)}${Buffer.alloc(32).toString("base64")}`,
      "wrong_password",
    ],
  ])("refuses a final message with %s", (_, message, reason) => {
    const scram = server();
    scram.clientFirst("SCRAM-SHA-256", RFC.clientFirst);
    expect(scram.clientFinal(message)).toEqual({ kind: "failed", reason });
  });

  it("counts extensions it doesn't know in the proof", () => {
    const scram = server();
    scram.clientFirst("SCRAM-SHA-256", `${RFC.clientFirst},x=1`);
    expect(scram.clientFinal(RFC.clientFinal)).toEqual({
      kind: "failed",
      reason: "wrong_password",
    });
  });

  it("takes each message once, in its order", () => {
    const early = server();
    expect(early.clientFinal(RFC.clientFinal).kind).toBe("failed");
    expect(early.clientFirst("SCRAM-SHA-256", RFC.clientFirst).kind).toBe("failed");
    const twice = server();
    twice.clientFirst("SCRAM-SHA-256", RFC.clientFirst);
    expect(twice.clientFirst("SCRAM-SHA-256", RFC.clientFirst).kind).toBe("failed");
    expect(twice.clientFinal(RFC.clientFinal).kind).toBe("failed");
    const guesser = server();
    guesser.clientFirst("SCRAM-SHA-256", RFC.clientFirst);
    guesser.clientFinal(RFC.clientFinal.replace("p=d", "p=e"));
    expect(guesser.clientFinal(RFC.clientFinal).kind).toBe("failed");
  });

  it("gives a step for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (first, final) => {
        const scram = server(HASH);
        expect(scram.clientFirst("SCRAM-SHA-256", first).kind).not.toBe("verified");
        expect(scram.clientFinal(final).kind).toBe("failed");
      }),
    );
  });
});

describe("channel binding", () => {
  const PLUS = "SCRAM-SHA-256-PLUS";
  const bound = (hash: Buffer): ChannelBinding => ({ kind: "tls-server-end-point", hash });

  it.each<[string, Buffer | undefined, ScramMechanism, ChannelBinding, string]>([
    ["same certificate", HASH, PLUS, bound(HASH), "verified"],
    [
      "another certificate (somebody in between)",
      HASH,
      PLUS,
      bound(Buffer.alloc(32)),
      "channel_binding",
    ],
    ["client can't", HASH, "SCRAM-SHA-256", { kind: "unsupported" }, "verified"],
    [
      "offer taken out on the way",
      HASH,
      "SCRAM-SHA-256",
      { kind: "not_offered" },
      "channel_binding",
    ],
    ["really not offered", undefined, "SCRAM-SHA-256", { kind: "not_offered" }, "verified"],
    ["PLUS without an offer", undefined, PLUS, bound(HASH), "malformed"],
    ["PLUS without binding", HASH, PLUS, { kind: "unsupported" }, "malformed"],
    ["PLUS, and says it wasn't offered", HASH, PLUS, { kind: "not_offered" }, "malformed"],
    ["binding without PLUS", HASH, "SCRAM-SHA-256", bound(HASH), "malformed"],
  ])("%s", async (_, offered, mechanism, channelBinding, expected) => {
    const scram = server(offered);
    const client = new ScramClient({
      password: new Secret("pencil"),
      nonce: "abc",
      channelBinding,
    });
    let step = scram.clientFirst(mechanism, client.clientFirst());
    if (step.kind === "continue") step = scram.clientFinal(await client.clientFinal(step.message));
    expect(step.kind === "failed" ? step.reason : step.kind).toBe(expected);
  });
});
