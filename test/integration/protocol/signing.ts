import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Answer } from "../../support/raw-client.ts";
import type { World } from "./world.ts";

const runFile = promisify(execFile);

/** The number of the request that a refusal names. */
export function requestIn(refusal: Answer | undefined): string {
  return /R-[0-9A-Z-]+/.exec(refusal?.body.toString() ?? "")?.[0] ?? "none";
}

/** Signs as bob does: with the command. */
export async function sign({ twokey }: World, request: string): Promise<void> {
  const main = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));
  const who = ["--url", twokey.adminUrl, "--as", "bob", "--key", twokey.people.bob.keyFile];
  await runFile(process.execPath, ["--import", "tsx", main, "approve", request, "--yes", ...who], {
    env: { PATH: process.env["PATH"], HOME: twokey.directory },
  });
}
