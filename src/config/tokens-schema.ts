import { z } from "zod";
import { isPrivate } from "../base/private-url.ts";
import { nonEmpty, path } from "./schema-parts.ts";
import { duration } from "./units.ts";

// RFC 7518 §3.1, those that a public key checks: with HMAC whoever can read the key could sign, and `none` signs nothing.
const TOKEN_ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;

const url = z
  .string()
  .refine(isPrivate, "must be a URL that begins with https:// (http:// for this machine only)");

/** Somebody whose tokens are taken. */
export const tokenIssuerSchema = z.strictObject({
  issuer: url.describe("As its tokens say it under `iss`, to the letter."),
  audience: nonEmpty(z.string().min(1)).describe(
    "What its tokens say under `aud` when they are meant for Twokey, one of these. Never an audience that other services share.",
  ),
  keys: z
    .strictObject({
      url: url.optional().describe("JSON Web Key Set."),
      file: path.optional().describe("JSON Web Key Set; read at every use."),
    })
    .refine(
      ({ url: one, file }) => (one === undefined) !== (file === undefined),
      "needs either url or file",
    )
    .optional()
    .describe(
      "Where its public keys are. By default its metadata tells: `ISSUER/.well-known/openid-configuration`.",
    ),
  algorithms: nonEmpty(z.enum(TOKEN_ALGORITHMS))
    .default(["RS256", "PS256", "ES256", "EdDSA"])
    .describe("By which a token may be signed; whatever else its header asks for is refused."),
  clock_skew: duration({ max: "5m" })
    .prefault("30s")
    .describe("By how much its clock may differ from ours."),
  max_age: duration({ min: "1m", max: "30d" })
    .optional()
    .describe("How old a token may be, by its `iat`. By default only `exp` counts."),
  scope: z
    .string()
    .regex(
      /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/,
      "must be names with a blank between them",
    )
    .default("openid")
    .describe("What programs that get a token by themselves ask for (OAUTHBEARER)."),
  groups: z
    .strictObject({
      claim: z.string().min(1).default("groups").describe("Claim that lists them."),
      roles: z
        .record(z.string().min(1), z.string())
        .describe("By group, the role that its members have here."),
    })
    .optional()
    .describe(
      "Roles by the groups that a token lists: for its session they take the place of `people.NAME.roles`, and who is in " +
        "none is turned away. By default `people.NAME.roles` counts.",
    ),
  ca: path
    .optional()
    .describe("CAs to trust for its addresses, PEM; without it, those that Node.js trusts."),
});

/** By what a token names somebody. */
export const tokenSubjectSchema = z.strictObject({
  issuer: z.string().describe("One of `tokens`."),
  claims: z
    .record(z.string().min(1), z.union([z.string().min(1), z.number(), z.boolean()]))
    .refine((claims) => Object.keys(claims).length > 0, "needs a claim")
    .describe(
      "What it must say, all of it; of a claim that is a list, one member. `email` counts with `email_verified: true` only.",
    ),
});
