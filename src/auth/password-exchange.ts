import { createHash } from "node:crypto";
import { equalConstantTime } from "../base/digest.ts";
import { Secret } from "../base/secret.ts";
import { SMALL_MESSAGE_BYTES } from "../wire/message-types.ts";
import { failed, type Exchange, type ExchangeStep } from "./login.ts";
import {
  decodePasswordMessage,
  encodeAuthenticationCleartextPassword,
  encodeAuthenticationMd5Password,
} from "./sasl-messages.ts";
import { deriveScramKeys } from "./scram-keys.ts";
import { MAX_TOKEN_MESSAGE_BYTES, type CheckToken } from "./token-subject.ts";
import type { ScramVerifier } from "./verifier.ts";

// What is asked for as a password is sent as it is, so none of these may be used without TLS.

/** A token, where a program knows passwords only. */
export function tokenAsPassword(check: CheckToken): Exchange {
  return {
    maxAnswerBytes: MAX_TOKEN_MESSAGE_BYTES,
    ask: encodeAuthenticationCleartextPassword,
    receive: (body) => {
      const token = decodePasswordMessage(body);
      return token === undefined ? failed("malformed") : check(token);
    },
  };
}

/** The password itself, for programs that know no SCRAM; checked against the same verifiers. */
export function cleartextPassword(
  verifiers: readonly [ScramVerifier, ...ScramVerifier[]],
): Exchange {
  return {
    maxAnswerBytes: SMALL_MESSAGE_BYTES,
    ask: encodeAuthenticationCleartextPassword,
    receive: async (body) => {
      const password = decodePasswordMessage(body);
      if (password === undefined) return failed("malformed");
      const fitting = await find(new Secret(password), verifiers);
      return fitting === undefined
        ? failed("wrong_password", true)
        : { ...proved("password"), verifier: fitting };
    },
  };
}

async function find(
  password: Secret,
  verifiers: readonly [ScramVerifier, ...ScramVerifier[]],
): Promise<ScramVerifier | undefined> {
  const [{ salt, iterations }] = verifiers;
  const { storedKey } = await deriveScramKeys(password, { salt, iterations });
  // All are compared, so that the time does not tell which it was.
  const [fitting] = verifiers.filter((one) => equalConstantTime(one.storedKey, storedKey));
  return fitting;
}

/**
 * MD5, for programs that are older than SCRAM. What is kept is as good as the password, for whoever gets hold of it.
 *
 * @param stored - the hex of md5(password, user); `undefined` fits nothing
 * @param salt - four random bytes, fresh for each exchange
 */
export function md5Password(stored: Secret | undefined, salt: Buffer): Exchange {
  return {
    maxAnswerBytes: SMALL_MESSAGE_BYTES,
    ask: () => encodeAuthenticationMd5Password(salt),
    receive: (body) => {
      const answer = decodePasswordMessage(body);
      if (answer === undefined) return failed("malformed");
      const hash = createHash("md5").update(stored?.reveal() ?? "");
      const expected = Buffer.from(`md5${hash.update(salt).digest("hex")}`);
      const isRight = equalConstantTime(Buffer.from(answer), expected);
      return isRight && stored !== undefined ? proved("md5") : failed("wrong_password", true);
    },
  };
}

function proved(method: "password" | "md5"): Extract<ExchangeStep, { kind: "proved" }> {
  return { kind: "proved", send: Buffer.alloc(0), method, isGuessable: true };
}
