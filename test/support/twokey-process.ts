import { rmSync } from "node:fs";
import { Program } from "./processes.ts";
import type { Login } from "./raw-client.ts";
import { writeTestConfig, type TestTwokey, type TestTwokeyOptions } from "./twokey.ts";

/** A Twokey in a process of its own, which can be measured, starved and killed. */
export interface TwokeyProcess {
  readonly program: Program;
  readonly port: number;
  readonly adminUrl: string;
  readonly directory: string;
  readonly configFile: string;
  readonly people: TestTwokey["people"];
  readonly login: Login;
  /** Removes its folder; it has to have ended. */
  readonly remove: () => void;
}

export async function startTwokeyProcess(options: TestTwokeyOptions): Promise<TwokeyProcess> {
  const { directory, configFile, people } = await writeTestConfig({
    ...options,
    config: { log: { level: "info" }, ...options.config },
  });
  const program = new Program(["start", "--config", configFile]);
  const printed = await program.printed('"twokey is listening"');
  const line = printed.split("\n").find((each) => each.includes('"twokey is listening"'));
  const { port, admin } = JSON.parse(line ?? "{}") as { port: number; admin: string };
  const { alice } = people;
  return {
    program,
    port,
    adminUrl: admin,
    directory,
    configFile,
    people,
    login: {
      host: "127.0.0.1",
      port,
      user: alice.name,
      password: alice.password,
      database: "shop",
    },
    remove: () => {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
