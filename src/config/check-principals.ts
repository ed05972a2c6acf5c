import type { Config, PrincipalConfig } from "./config.ts";
import type { Mistake } from "./mistakes.ts";
import { isMd5 } from "./verifier.ts";

/** People and workloads who could not log in as their entry says, or in whose place somebody else could. */
export function checkPrincipals({ principals, upstreams, listen }: Config): Mistake[] {
  const hasVerifiers = [...upstreams.values()].some(({ verifiers }) => verifiers !== undefined);
  const all = [...principals.values()];
  return all.flatMap((principal, index) => {
    const { kind, name } = principal;
    const path = [kind === "person" ? "people" : "workloads", name];
    return [
      ...ownMistakes(principal, listen.tls.mode),
      ...(principal.asksFor === "upstream" && !hasVerifiers
        ? ["logs in with the upstream's password, but no upstream has verifiers"]
        : []),
      ...sharedTokens(principal, all.slice(0, index)),
    ].map((message): Mistake => ({ path, of: "key", message }));
  });
}

function ownMistakes(
  { asksFor, verifier, tokens }: PrincipalConfig,
  tls: Config["listen"]["tls"]["mode"],
): string[] {
  const mistakes: string[] = [];
  if (asksFor !== "password" && asksFor !== "upstream" && tls === "off") {
    mistakes.push(
      `is asked for ${asksFor}, which is sent over TLS only: give listen.tls {cert, key}`,
    );
  }
  if (asksFor === "token" && tokens.length === 0) {
    mistakes.push("is asked for a token, but tokens does not say which");
  }
  if (asksFor === "upstream" && verifier !== undefined) {
    mistakes.push("logs in with the upstream's password, and can't have one here, too");
  }
  const isKeptAsMd5 = verifier !== undefined && isMd5(verifier.reveal());
  if (verifier !== undefined && isKeptAsMd5 !== (asksFor === "md5")) {
    mistakes.push(
      isKeptAsMd5
        ? "has a verifier that is good for MD5 only: say asks_for: md5, or give a SCRAM-SHA-256 one"
        : "is asked for md5, which needs a verifier of the form md5…",
    );
  }
  return mistakes;
}

/** One token that proves two people would let one of them sign for the other. */
function sharedTokens({ tokens }: PrincipalConfig, others: readonly PrincipalConfig[]): string[] {
  return others
    .filter((other) =>
      other.tokens.some(({ issuer, claims }) =>
        tokens.some(
          (own) =>
            own.issuer === issuer &&
            own.claims.size === claims.size &&
            [...claims].every(([claim, value]) => own.claims.get(claim) === value),
        ),
      ),
    )
    .map(({ name }) => `is proved by the same token as ${name}`);
}
