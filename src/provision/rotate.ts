import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { formatVerifier, makeVerifier } from "../auth/verifier.ts";
import { SQLSTATE, TwokeyError } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";
import type { Config, Database, Upstream } from "../config/config.ts";
import type { SecretSource } from "../config/secret-source.ts";
import { loadCredential } from "../upstream/credential.ts";
import { UpstreamRefused } from "../upstream/startup-messages.ts";
import { credentialsOf, isSameServer, type Credential } from "./credentials.ts";
import { openAs, openWith } from "./open-session.ts";
import { handOver } from "./hand-over.ts";
import { adoptNext, dropNext, readNext, writeNext } from "./password-file.ts";
import type { ServerSession } from "./server-session.ts";
import { isWrongPassword } from "./stored-password.ts";
import { identifier, literal } from "./sql-text.ts";

const PASSWORD_BYTES = 32;

/** The password was not changed, or nobody can tell yet; the message says which. */
class RotationFailed extends TwokeyError {}

/** What can be rotated by itself: a role on a server, and the one file that holds its password. */
interface Rotatable {
  readonly credential: Credential;
  readonly upstream: Upstream;
  readonly file: string;
  /** To log in to: the same for every rotation of this role, since locks are a database's. */
  readonly database: string;
}

/**
 * The roles that Twokey logs in as on an upstream, each once.
 *
 * @throws RotationFailed, before anything is changed, where a password can't be replaced where it is kept
 */
export function rotatablesOf(config: Config, upstreamName: string): readonly Rotatable[] {
  const upstream = config.upstreams.get(upstreamName);
  if (upstream === undefined) throw refused(`no upstream "${upstreamName}" in ${config.file}`);
  const here = credentialsOf(config).filter((credential) => {
    const its = config.upstreams.get(credential.upstream);
    return its !== undefined && isSameServer(its, upstream);
  });
  const users = new Set(
    here.filter((credential) => credential.upstream === upstreamName).map(({ user }) => user),
  );
  return [...users].map((user) => {
    const all = here.filter((credential) => credential.user === user);
    const [credential] = all;
    if (credential === undefined) throw new Error(`role ${user} has no credential`);
    const file = oneFile(all);
    const database = databaseFor(config, credential);
    return { credential, upstream, file, database };
  });
}

/**
 * Gives the role a new random password. The server gets its verifier only, so that neither its log nor its statistics
 * ever hold the password. Open sessions go on; whoever knows the old one gets in nowhere.
 *
 * The new one is on disk before the server hears of it, and takes the old one's place once a login has proved it. What
 * breaks off in between is ended by the next rotation, and until then logins try both.
 *
 * @throws RotationFailed where the old password still is the one; UpstreamRefused, UpstreamUnavailable when the server
 *   lets nobody in
 */
export async function rotate(rotatable: Rotatable): Promise<void> {
  const { credential, upstream, file, database } = rotatable;
  const session = await openAs(credential, { upstream, database });
  try {
    await lock(session, credential.user);
    await settle(rotatable);
    const password = new Secret(randomBytes(PASSWORD_BYTES).toString("base64url"));
    const verifier = formatVerifier(await makeVerifier(password));
    writeNext(file, password);
    const alter = `ALTER ROLE ${identifier(credential.user)} PASSWORD ${literal(verifier)}`;
    try {
      await session.run(alter);
    } catch (cause) {
      // The server's own no: nothing was changed. A lost connection, in contrast, tells nothing.
      if (cause instanceof UpstreamRefused) {
        dropNext(file);
        throw refused(`the server refused: ${cause.message}; the old password stands`, { cause });
      }
      throw undecided(file, cause);
    }
    if (!(await opens(rotatable, password))) {
      throw refused("the server took the new password, but a login with it fails", {
        hint: `${file}.next holds it; both are tried at every login, and the next rotation settles which it is.`,
      });
    }
    adoptNext(file);
    const { handTo } = upstream.rotation ?? {};
    if (handTo === undefined) return;
    await handOver(handTo, { upstream: upstream.name, role: credential.user, password });
  } finally {
    session.close();
  }
}

/** What an earlier rotation left when it was cut short: the new password took effect, or it didn't. */
async function settle(rotatable: Rotatable): Promise<void> {
  const { file } = rotatable;
  const next = readNext(file);
  if (next === undefined) return;
  if (next.reveal() !== "" && (await opens(rotatable, next))) adoptNext(file);
  else if (await opens(rotatable, loadCredential({ from: "file", path: file }))) dropNext(file);
  else throw undecided(file, undefined);
}

/** Whether the password gets a new session. @throws whatever else than a wrong password keeps it from that */
async function opens(
  { credential: { user }, upstream, database }: Rotatable,
  password: Secret,
): Promise<boolean> {
  try {
    const session = await openWith(
      { user, password: () => Promise.resolve(password) },
      { upstream, database },
    );
    session.close();
    return true;
  } catch (error) {
    if (isWrongPassword(error)) return false;
    throw error;
  }
}

/** Two rotations of one role at the same time would each take the other's file for its own. */
async function lock(session: ServerSession, user: string): Promise<void> {
  const key = createHash("sha256").update(`twokey rotate ${user}`).digest().readBigInt64BE(0);
  const [row] = await session.rows(
    `SELECT pg_try_advisory_lock(${key}) AS "isOurs"`,
    z.object({ isOurs: z.boolean() }),
  );
  if (row?.isOurs !== true) throw refused(`another rotation of role "${user}" is under way`);
}

function oneFile(credentials: readonly Credential[]): string {
  const files = new Set(credentials.map((credential) => fileOf(credential)));
  const [file, ...others] = files;
  if (file !== undefined && others.length === 0) return file;
  const names = credentials.map(({ name }) => name).join(", ");
  throw refused(`${names} are one role on one server, but keep its password in different files`, {
    hint: "Name one file in all of them: otherwise the others would hold a password that is no more.",
  });
}

function fileOf({ name, source }: Credential): string {
  if (source?.from === "file") return source.path;
  throw refused(`${name} has its password ${whereItIs(source)}, where it can't be replaced`, {
    hint: `Put it into a file of mode 0600, say ${name}.password: {file: PATH}, restart Twokey, and rotate then: the password that stood in the environment is worthless from then on.`,
  });
}

function whereItIs(source: SecretSource | undefined): string {
  return source?.from === "env" ? `from environment variable ${source.name}` : "nowhere";
}

function databaseFor({ databases }: Config, { upstream, user }: Credential): string {
  const there = [...databases.values()].filter((database) => database.upstream === upstream);
  const isOf = ({ logins, secondLock }: Database): boolean =>
    secondLock?.user === user || logins.some((login) => login.user === user);
  const its = there.find(isOf) ?? there[0];
  if (its === undefined) throw refused(`no database is on upstream "${upstream}"`);
  return its.place.serverDatabase;
}

function undecided(file: string, cause: unknown): RotationFailed {
  return refused("the connection was lost before the server said whether the password is changed", {
    hint: `${file} and ${file}.next hold both; both are tried at every login, and the next rotation settles which it is.`,
    cause,
  });
}

function refused(
  message: string,
  details: { readonly hint?: string; readonly cause?: unknown } = {},
): RotationFailed {
  return new RotationFailed(SQLSTATE.ioError, message, details);
}
