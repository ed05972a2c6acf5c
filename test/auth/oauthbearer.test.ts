import fc from "fast-check";
import { expect, it, test } from "vitest";
import { decodeBearer } from "../../src/auth/oauthbearer.ts";

const decode = (text: string): unknown => decodeBearer(Buffer.from(text));

test.each<[string, string, unknown]>([
  [
    "a token",
    "n,,\u0001auth=Bearer abc.def-g_h~i+j/k==\u0001\u0001",
    { kind: "token", token: "abc.def-g_h~i+j/k==" },
  ],
  [
    "in any case, after any blanks",
    "y,,\u0001auth=bEARER   abc\u0001\u0001",
    { kind: "token", token: "abc" },
  ],
  [
    "beside other pairs",
    "n,,\u0001host=db\u0001port=5432\u0001auth=Bearer abc\u0001\u0001",
    { kind: "token", token: "abc" },
  ],
  ["a question where to get one", "n,,\u0001auth=\u0001\u0001", { kind: "discovery" }],
  ["nothing", "", undefined],
  ["a header only", "n,,", undefined],
  ["no pairs", "n,,\u0001\u0001", undefined],
  ["no end", "n,,\u0001auth=Bearer abc\u0001", undefined],
  ["something behind its end", "n,,\u0001auth=Bearer abc\u0001\u0001x", undefined],
  ["another person's authority", "n,a=bob,\u0001auth=Bearer abc\u0001\u0001", undefined],
  ["channel binding", "p=tls-server-end-point,,\u0001auth=Bearer abc\u0001\u0001", undefined],
  ["two tokens", "n,,\u0001auth=Bearer abc\u0001auth=Bearer def\u0001\u0001", undefined],
  ["another scheme", "n,,\u0001auth=Basic YWxpY2U=\u0001\u0001", undefined],
  ["a scheme without a token", "n,,\u0001auth=Bearer \u0001\u0001", undefined],
  ["a token with a blank", "n,,\u0001auth=Bearer abc def\u0001\u0001", undefined],
  ["a key that is no word", "n,,\u0001au-th=Bearer abc\u0001\u0001", undefined],
  ["a value with a zero byte", "n,,\u0001auth=Bearer abc\u0000\u0001\u0001", undefined],
])("%s", (_, text, expected) => {
  expect(decode(text)).toEqual(expected);
});

it("never throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      decodeBearer(Buffer.from(bytes));
      decodeBearer(
        Buffer.concat([Buffer.from("n,,\u0001auth="), bytes, Buffer.from("\u0001\u0001")]),
      );
    }),
  );
});
