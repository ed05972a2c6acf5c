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
      return proved("password", await fits(new Secret(password), verifiers));
    },
  };
}

async function fits(
  password: Secret,
  verifiers: readonly [ScramVerifier, ...ScramVerifier[]],
): Promise<boolean> {
  const [{ salt, iterations }] = verifiers;
  const { storedKey } = await deriveScramKeys(password, { salt, iterations });
  return (
    verifiers.filter((verifier) => equalConstantTime(verifier.storedKey, storedKey)).length > 0
  );
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
      return proved(
        "md5",
        equalConstantTime(Buffer.from(answer), expected) && stored !== undefined,
      );
    },
  };
}

function proved(method: "password" | "md5", isRight: boolean): ExchangeStep {
  return isRight
    ? { kind: "proved", send: Buffer.alloc(0), method, isGuessable: true }
    : failed("wrong_password", true);
}
