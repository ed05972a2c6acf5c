import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Whether the shell would find such a program. */
export function isOnPath(program: string, env: NodeJS.ProcessEnv): boolean {
  return (env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== "";
    } catch {
      return false; // not in this folder
    }
  });
}
