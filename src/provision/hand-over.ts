import { spawn } from "node:child_process";
import { SQLSTATE, TwokeyError } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";

const TIMEOUT_MS = 60_000;

/**
 * Gives a new password to a program of the operator's, which keeps it elsewhere, too: on its standard input, so that no
 * list of processes shows it. The environment says whose it is: TWOKEY_UPSTREAM and TWOKEY_ROLE.
 *
 * @throws TwokeyError (58030) when it can't be run or doesn't leave with 0; never with what it was given
 */
export async function handOver(
  [program = "", ...args]: readonly string[],
  {
    upstream,
    role,
    password,
  }: { readonly upstream: string; readonly role: string; readonly password: Secret },
): Promise<void> {
  const child = spawn(program, args, {
    stdio: ["pipe", "ignore", "inherit"],
    env: { ...process.env, TWOKEY_UPSTREAM: upstream, TWOKEY_ROLE: role },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  // One that ends without reading is told by its status.
  child.stdin.on("error", () => undefined);
  child.stdin.end(password.reveal());
  const outcome = await new Promise<string>((resolve) => {
    child.once("error", ({ message }) => {
      resolve(message);
    });
    child.once("close", (status) => {
      resolve(`status ${status ?? "none"}`);
    });
  });
  if (outcome === "status 0") return;
  throw new TwokeyError(
    SQLSTATE.ioError,
    `role "${role}" has a new password, but ${program} did not take it: ${outcome}`,
    { hint: "It is in its file, which is what Twokey uses; hand it over from there." },
  );
}
