import { describe, expect, it } from "vitest";
import { invocation } from "../../../src/cli/demo/walk-through.ts";

describe("invocation", () => {
  it.each<[why: string, script: string, cwd: string, line: string]>([
    ["from a clone", "/home/alice/twokey/dist/main.js", "/home/alice/twokey", "node dist/main.js"],
    ["from elsewhere", "/opt/twokey/dist/main.js", "/home/alice", "node /opt/twokey/dist/main.js"],
    ["a path with a blank", "/opt/two key/main.js", "/", "node 'opt/two key/main.js'"],
    ["installed for everybody", "/usr/local/bin/twokey", "/home/alice", "twokey"],
    ["in a project", "/srv/app/node_modules/.bin/twokey", "/srv/app", "npx twokey"],
  ])("%s", (_why, script, cwd, line) => {
    expect(invocation(["node", script], cwd)).toBe(line);
  });
});
