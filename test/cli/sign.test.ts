import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isSameKey } from "../../src/approvals/ssh-key.ts";
import { verifySshsig } from "../../src/approvals/sshsig.ts";
import { signWithSshKey, type SignOptions } from "../../src/cli/sign.ts";
import { keyOf } from "../admin/harness.ts";
import { hasSshKeygen, Home } from "./harness.ts";

const namespace = "test@twokey";
const message = "sign this\n";

let home: Home;
let options: SignOptions;
beforeEach(() => {
  home = new Home();
  options = {
    namespace,
    keyFile: undefined,
    env: { PATH: process.env["PATH"], HOME: home.directory },
  };
});
afterEach(() => {
  home.remove();
});

function expectSignedBy(person: string, signature: string): void {
  const verified = verifySshsig(signature, { message, namespace });
  expect(verified.kind).toBe("valid");
  expect(verified.kind === "valid" && isSameKey(verified.key, keyOf(person).publicKey)).toBe(true);
}

describe.skipIf(!hasSshKeygen)("signing with ssh-keygen", () => {
  it("takes the key file that is named", async () => {
    expectSignedBy("bob", await signWithSshKey(message, { ...options, keyFile: home.key("bob") }));
  });

  it("finds the key where ssh does", async () => {
    copyFileSync(home.key("bob"), join(home.directory, ".ssh", "id_ed25519"));
    expectSignedBy("bob", await signWithSshKey(message, options));
  });

  it("takes a key that only an agent holds, named by its .pub file or not", async () => {
    const socket = join(home.directory, "agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: ["ignore", "pipe", "ignore"] });
    try {
      await once(agent.stdout, "data");
      const env = { ...options.env, SSH_AUTH_SOCK: socket };
      const file = home.key("bob");
      expect(spawnSync("ssh-add", ["-q", file], { env }).status).toBe(0);
      rmSync(file);
      expectSignedBy(
        "bob",
        await signWithSshKey(message, { ...options, env, keyFile: `${file}.pub` }),
      );
      expectSignedBy("bob", await signWithSshKey(message, { ...options, env }));
    } finally {
      agent.kill();
      await once(agent, "exit");
    }
  });

  it("says so when ssh-keygen doesn't sign", async () => {
    const keyFile = join(home.directory, "absent");
    await expect(signWithSshKey(message, { ...options, keyFile })).rejects.toMatchObject({
      exitStatus: 2,
      message: `ssh-keygen did not sign with ${keyFile}`,
    });
  });
});

describe("signing without ssh-keygen", () => {
  beforeEach(() => {
    options = { ...options, env: { ...options.env, PATH: home.directory } };
  });

  it("takes an unencrypted Ed25519 file, by either of its names", async () => {
    const keyFile = home.key("bob");
    expectSignedBy("bob", await signWithSshKey(message, { ...options, keyFile }));
    expectSignedBy("bob", await signWithSshKey(message, { ...options, keyFile: `${keyFile}.pub` }));
  });

  it("says what to install for any other", async () => {
    const keyFile = join(home.directory, "absent");
    await expect(signWithSshKey(message, { ...options, keyFile })).rejects.toMatchObject({
      exitStatus: 2,
      hint: "install OpenSSH's client",
    });
  });
});

it("says how to name a key when there is none", async () => {
  await expect(signWithSshKey(message, options)).rejects.toMatchObject({
    exitStatus: 2,
    message: "no SSH key found",
    hint: expect.stringContaining("--key FILE") as string,
  });
});
