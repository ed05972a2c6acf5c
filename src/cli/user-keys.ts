import { readFileSync, existsSync } from "node:fs";
import { isKeyOf, parseAllowedSigners } from "../approvals/allowed-signers.ts";
import { matchesPatternList } from "../approvals/pattern.ts";
import {
  fingerprint,
  formatPublicKey,
  isSameKey,
  parsePublicKeyLine,
} from "../approvals/ssh-key.ts";
import { APPROVAL_NAMESPACE } from "../approvals/sshsig.ts";
import { LOGIN_NAMESPACE } from "../admin/sign-in.ts";
import { CommandFailed } from "./command-failed.ts";
import { editFile } from "./edit-file.ts";

/** A line of `allowed_signers` that is about one person. */
export interface KeyLine {
  readonly line: number;
  readonly fingerprint: string;
  readonly type: string;
  /** As the line has it; patterns may let it stand for others, too. */
  readonly principals: string;
  readonly isAuthority: boolean;
  readonly valid_before: string | undefined;
}

/** @throws Malformed for a file that is no use */
export function keysOf(person: string, file: string): readonly KeyLine[] {
  if (!existsSync(file)) return [];
  return parseAllowedSigners(readFileSync(file, "utf8"))
    .signers.filter(({ principals }) => matchesPatternList(person, principals))
    .map(({ line, key, principals, isAuthority, validBefore }) => ({
      line,
      fingerprint: fingerprint(key),
      type: key.type,
      principals,
      isAuthority,
      valid_before: validBefore,
    }));
}

/**
 * @param publicKeyFile - as ssh-keygen writes it: `id_ed25519.pub`
 * @param others - everybody else: a key that is theirs already would make two people of one
 */
export function addKey(
  person: string,
  {
    file,
    publicKeyFile,
    others,
  }: { file: string; publicKeyFile: string; others: readonly string[] },
): string {
  const key = parsePublicKeyLine(readFileSync(publicKeyFile, "utf8"));
  editFile(file, (text) => {
    const registry = parseAllowedSigners(text);
    if (isKeyOf(registry, { key, principal: person })) {
      throw new CommandFailed(1, `${fingerprint(key)} is a key of ${person} already`);
    }
    const owner = others.find((principal) => isKeyOf(registry, { key, principal }));
    if (owner !== undefined) {
      throw new CommandFailed(1, `${fingerprint(key)} is a key of ${owner}`, {
        hint: "each person has keys of their own: whoever holds a shared one is two people",
      });
    }
    const namespaces = `${APPROVAL_NAMESPACE},${LOGIN_NAMESPACE}`;
    const line = `${person} namespaces="${namespaces}" ${formatPublicKey(key)}\n`;
    const next = `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${line}`;
    parseAllowedSigners(next);
    return next;
  });
  return fingerprint(key);
}

/** Takes away every line that gives this key to this person alone. */
export function removeKey(
  person: string,
  { file, fingerprint: wanted }: { file: string; fingerprint: string },
): void {
  editFile(file, (text) => {
    const { signers } = parseAllowedSigners(text);
    const about = signers.filter(
      ({ key, principals }) =>
        fingerprint(key) === wanted && matchesPatternList(person, principals),
    );
    const [first] = about;
    if (first === undefined) throw new CommandFailed(1, `${person} has no key ${wanted}`);
    const shared = about.find(({ principals }) => principals !== person);
    if (shared !== undefined) {
      throw new CommandFailed(1, `line ${shared.line} of ${file} is for ${shared.principals}`, {
        hint: "it is not about one person alone: edit it by hand",
      });
    }
    const gone = new Set(
      signers
        .filter(({ key, principals }) => isSameKey(key, first.key) && principals === person)
        .map(({ line }) => line),
    );
    return text
      .split("\n")
      .filter((_, index) => !gone.has(index + 1))
      .join("\n");
  });
}
