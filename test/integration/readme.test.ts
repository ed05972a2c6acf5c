import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStage, type Stage } from "../../src/cli/demo/stage.ts";
import { isOnPath } from "../../src/cli/on-path.ts";
import { shell } from "../support/processes.ts";

const README = readFileSync("README.md", "utf8");

describe("the README", () => {
  let stage: Stage;
  const directory = mkdtempSync(join(tmpdir(), "twokey-readme-"));
  const home = join(directory, "home");

  beforeAll(async () => {
    mkdirSync(home);
    // Whoever reads it has installed it.
    writeFileSync(join(home, "twokey"), `#!/bin/sh\nexec node ${resolve("src/main.ts")} "$@"\n`);
    chmodSync(join(home, "twokey"), 0o755);
    stage = await openStage({ directory, keepsDatabases: false, port: 0, adminPort: 0 });
  });
  afterAll(async () => {
    await stage.stop();
    rmSync(directory, { recursive: true });
  });

  it.runIf(isOnPath("psql", process.env))(
    "shows what its commands really print (npm run golden)",
    { timeout: 180_000 },
    async () => {
      let request: string | undefined;
      const run = async (who: string, line: string): Promise<string> => {
        // The number that this run's first refusal gave, in place of the README's.
        const command = line.replace(/\bR-\w{6}\b/, request ?? "R-......");
        const ran = await shell(`cd ${directory}; (${command}) 2>&1`, envOf(who));
        request ??= /\bR-\w{6}\b/.exec(ran.stdout)?.[0];
        return `${who}$ ${command}\n${ran.stdout}`.trimEnd();
      };
      const replayed = await replaceAsync(README, /^```console\n([^]*?)^```$/gm, async (block) => {
        return `\`\`\`console\n${(await replay(block, run)).join("\n\n")}\n\`\`\``;
      });
      await expect(same(replayed) === same(README) ? README : replayed).toMatchFileSnapshot(
        resolve("README.md"),
      );
    },
  );

  it("has the small configuration as it stands in config/", () => {
    const [, block] = /^```yaml\n([^]*?)^```$/m.exec(README) ?? [];
    expect(block).toBe(readFileSync("config/minimal.yaml", "utf8"));
  });

  it("names only scripts that there are", () => {
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as {
      scripts: Record<string, string>;
    };
    const named = [...README.matchAll(/\bnpm (?:run )?(?!ci\b|run\b)(\w+)/g)].map(
      ([, name]) => name,
    );
    expect(named.length).toBeGreaterThan(1);
    expect(named.filter((name = "") => !(name in scripts))).toEqual([]);
  });

  function envOf(who: string): NodeJS.ProcessEnv {
    const { alice, bob } = stage;
    return {
      PATH: `${home}:${process.env["PATH"] ?? ""}`,
      HOME: home,
      LC_ALL: "C.UTF-8",
      NO_COLOR: "1",
      ...(who === "alice" && {
        PGHOST: stage.host,
        PGPORT: String(stage.port),
        PGUSER: alice.name,
        PGPASSWORD: alice.password,
      }),
      ...(who === "bob" && {
        TWOKEY_URL: stage.adminUrl,
        TWOKEY_AS: bob.name,
        TWOKEY_KEY: bob.keyFile,
      }),
    };
  }
});

describe.each(["README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/README.md"])("%s", (file) => {
  it("has links that lead somewhere", () => {
    const text = readFileSync(file, "utf8");
    const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)].map(([, to = ""]) => to);
    expect(links.filter((to) => !existsSync(join(dirname(file), to)))).toEqual([]);
  });
});

describe("docs/README.md", () => {
  it("leads to every page", () => {
    const text = readFileSync("docs/README.md", "utf8");
    const pages = readdirSync("docs", { recursive: true, encoding: "utf8" }).filter(
      (page) => page.endsWith(".md") && page !== "README.md",
    );
    expect(pages.filter((page) => !text.includes(`](${page})`))).toEqual([]);
  });
});

/** Runs every `who$ command` of a block, and puts what it printed below it. */
async function replay(
  block: string,
  run: (who: string, line: string) => Promise<string>,
): Promise<string[]> {
  const parts: string[] = [];
  for (const [, who = "", line = ""] of block.matchAll(/^(\w*)\$ (.*)$/gm)) {
    parts.push(await run(who, line));
  }
  return parts;
}

/** Without what differs from one run to the next. */
function same(text: string): string {
  const requests = [...new Set(text.match(/\bR-\w{6}\b/g))];
  return text
    .replace(/\bR-\w{6}\b/g, (id) => `R-${requests.indexOf(id)}`)
    .replace(/\bA-\w+\b/g, "A-")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d\d:\d\d:\d\d\b/g, "TIME")
    .replace(/#\d+|\brecord \d+|record: \d+/g, "RECORD")
    .replace(/\b[\d.]+ ms\b/g, "MS")
    .replace(/-{9,}/g, "---");
}

async function replaceAsync(
  text: string,
  pattern: RegExp,
  replacement: (match: string) => Promise<string>,
): Promise<string> {
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push(text.slice(end, match.index), await replacement(match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)].join("");
}
