import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { Command } from "commander";
import { COMMANDS, createProgram } from "../../src/cli/program.ts";
import { Home, type Ran } from "./harness.ts";

async function run(...argv: string[]): Promise<Ran> {
  const home = new Home();
  try {
    return await home.run(argv);
  } finally {
    home.remove();
  }
}

describe("twokey", () => {
  it.each([
    [["--version"], 0],
    [["--help"], 0],
    [["help", "approve"], 0],
    [["approve", "--help"], 0],
    [[], 2],
    [["aprove"], 2],
    [["approve"], 2],
    [["approve", "R-7F3K2M", "--no-such-option"], 2],
    [["request", "list", "--limit", "0", "--url", "nowhere"], 2],
  ])("%j leaves with %i", async (argv, status) => {
    expect((await run(...argv)).status).toBe(status);
  });

  it("prints answers on standard output, and what is wrong on standard error", async () => {
    expect((await run("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await run("aprove")).toMatchObject({
      stdout: "",
      stderr: expect.stringContaining("Did you mean approve?") as string,
    });
  });

  it("has every option in the help of its command", async () => {
    expect((await run("help", "approve")).stdout).toContain("--yes");
  });

  it("takes the admin port from a configuration, and says what is wrong in it", async () => {
    const ran = await run("request", "list", "--config", "absent.yaml");
    expect(ran.status).toBe(2);
    expect(ran.stderr).toMatch(/^error: absent.yaml:1:1 can't be read/);
  });

  it("does not fall over when nobody reads on", () => {
    const shell = 'node --import tsx src/main.ts --help | head -n 1; echo "$?"';
    const ran = spawnSync("sh", ["-c", shell], { encoding: "utf8" });
    expect(ran.stdout).toBe("Usage: twokey [options] [command]\n0\n");
    expect(ran.stderr).toBe("");
  });
});

describe("the reference", () => {
  const START = "<!-- from the code: npm run golden -->\n";

  it("has the help of every command", async () => {
    const file = "docs/reference/commands.md";
    const [prose = ""] = readFileSync(file, "utf8").split(START);
    const sections: string[] = [];
    for (const { name, summary } of COMMANDS) {
      const home = new Home();
      const program = await createProgram(name, home.terminal());
      home.remove();
      const command = program.commands.find((candidate) => candidate.name() === name);
      if (!command) throw new Error(`no command ${name}`);
      sections.push(`## ${name}\n\n${summary}\n`, ...leaves(command).map(help));
    }
    await expect(`${prose}${START}\n${sections.join("\n")}`).toMatchFileSnapshot(`../../${file}`);
  });

  function leaves(command: Command): readonly Command[] {
    const { commands } = command;
    return commands.length === 0 ? [command] : commands.flatMap(leaves);
  }

  function help(command: Command): string {
    return `\`\`\`\n${command.helpInformation().trimEnd()}\n\`\`\`\n`;
  }
});
