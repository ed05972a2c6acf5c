import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readWhole, type BackupStore } from "../../src/backup/backup-store.ts";
import { openStore } from "../../src/backup/open-store.ts";
import type { BackupStoreConfig } from "../../src/config/backups.ts";
import { HAS_SSHD, startS3, startSftp, type FileServer } from "../support/file-servers.ts";

const NO_END = new AbortController().signal;

async function* chunks(...parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    await Promise.resolve();
    yield part;
  }
}

async function* breaking(after: Buffer): AsyncGenerator<Buffer> {
  await Promise.resolve();
  yield after;
  throw new Error("the dump broke off");
}

interface Kind {
  readonly name: string;
  readonly isHere: boolean;
  readonly start: () => Promise<FileServer>;
}

const KINDS: readonly Kind[] = [
  {
    name: "folder",
    isHere: true,
    start: () => {
      const directory = mkdtempSync(path.join(tmpdir(), "twokey-folder-"));
      return Promise.resolve({
        config: { kind: "folder", path: directory } as const,
        cutAfter: () => undefined,
        stop: () => {
          rmSync(directory, { recursive: true });
          return Promise.resolve();
        },
      });
    },
  },
  { name: "S3", isHere: true, start: startS3 },
  { name: "SFTP", isHere: HAS_SSHD, start: startSftp },
];

if (!HAS_SSHD) process.stderr.write("SFTP tests are skipped: no /usr/sbin/sshd here\n");

for (const { name, isHere, start } of KINDS) {
  describe.skipIf(!isHere)(`a ${name} store`, () => {
    let server: FileServer;
    let store: BackupStore;
    beforeAll(async () => {
      server = await start();
      store = openStore(server.config);
    });
    afterAll(async () => {
      await store.close();
      await server.stop();
    });

    const read = (file: string): Promise<Buffer> =>
      readWhole(store.get(file, NO_END), { maxBytes: 64 << 20 });

    it.each([
      ["one byte", [Buffer.from("x")]],
      ["odd pieces", [Buffer.from("a"), randomBytes(70_001), Buffer.from("z")]],
      ["more than two parts", [randomBytes((11 << 20) + 7), randomBytes(3)]],
      ["exactly two parts", [randomBytes(10 << 20)]],
    ] as const)("gives back what it was given: %s", async (_what, parts) => {
      await store.put("shop/B-1/dump", chunks(...parts), NO_END);
      expect((await read("shop/B-1/dump")).equals(Buffer.concat(parts))).toBe(true);
    });

    it("takes the newer of two under one name", async () => {
      await store.put("shop/B-2/manifest.json", chunks(Buffer.from("first")), NO_END);
      await store.put("shop/B-2/manifest.json", chunks(Buffer.from("second")), NO_END);
      expect((await read("shop/B-2/manifest.json")).toString()).toBe("second");
    });

    it("lists what begins so, and nothing that was removed", async () => {
      await store.put("other/B-3/dump", chunks(Buffer.from("o")), NO_END);
      await store.put("shop/B-4/dump", chunks(Buffer.from("s")), NO_END);
      expect(await store.list("shop/")).toContain("shop/B-4/dump");
      expect(await store.list("other/")).toEqual(["other/B-3/dump"]);
      await store.remove("other/B-3/dump");
      await store.remove("other/B-3/dump");
      expect(await store.list("other/")).toEqual([]);
      expect(await store.list("nobody/")).toEqual([]);
    });

    it("has nothing under a name whose content broke off, whatever its length", async () => {
      for (const bytes of [10, 12 << 20]) {
        const put = store.put("shop/B-5/dump", breaking(randomBytes(bytes)), NO_END);
        await expect(put).rejects.toThrow("the dump broke off");
      }
      expect(await store.list("shop/")).not.toContain("shop/B-5/dump");
    });

    it("stops when it is told to, and has nothing then", async () => {
      const stopping = new AbortController();
      async function* endless(): AsyncGenerator<Buffer> {
        for (let n = 0; ; n += 1) {
          await new Promise((resolve) => setImmediate(resolve));
          if (n === 8) stopping.abort(new Error("enough"));
          yield randomBytes(1 << 20);
        }
      }
      await expect(store.put("shop/B-6/dump", endless(), stopping.signal)).rejects.toThrow();
      expect(await store.list("shop/")).not.toContain("shop/B-6/dump");
    });

    it("says what is missing, and from where", async () => {
      await expect(read("shop/B-7/dump")).rejects.toThrow(store.description);
    });

    it.skipIf(name === "folder")("has nothing when the line is cut in the middle", async () => {
      server.cutAfter(6 << 20);
      const put = store.put("shop/B-8/dump", chunks(randomBytes(12 << 20)), NO_END);
      await expect(put).rejects.toThrow(store.description);
      server.cutAfter(Number.POSITIVE_INFINITY);
      const again = openStore(server.config);
      expect(await again.list("shop/")).not.toContain("shop/B-8/dump");
      await again.put("shop/B-8/dump", chunks(Buffer.from("now")), NO_END);
      expect(await again.list("shop/")).toContain("shop/B-8/dump");
      await again.close();
    });
  });
}

describe("a store that is not what it should be", () => {
  it("is no folder that isn't mounted", async () => {
    const store = openStore({ kind: "folder", path: "/nonexistent/backups" });
    await expect(store.put("shop/B-1/dump", chunks(Buffer.from("x")), NO_END)).rejects.toThrow(
      "/nonexistent/backups",
    );
  });

  it("turns a wrong secret away, and the error has none in it", async () => {
    const server = await startS3();
    const store = openStore(server.wrongSecret);
    const put = store.put("shop/B-1/dump", chunks(Buffer.from("x")), NO_END);
    await expect(put).rejects.toThrow(/403/);
    await expect(put).rejects.not.toThrow(/another/);
    await server.stop();
  });

  it("asks S3 for encryption, and for a lock where one is configured", async () => {
    const server = await startS3();
    const config = server.config as Extract<BackupStoreConfig, { kind: "s3" }>;
    const store = openStore({ ...config, lock: { mode: "compliance", forMs: 86_400_000 } });
    for (const bytes of [1, 6 << 20]) {
      await store.put("shop/B-1/dump", chunks(randomBytes(bytes)), NO_END);
      const asked = server.requests.filter(({ method, url = "" }) =>
        bytes === 1 ? method === "PUT" : method === "POST" && url.includes("uploads"),
      );
      expect(asked.at(-1)?.headers).toMatchObject({
        "x-amz-server-side-encryption": "AES256",
        "x-amz-object-lock-mode": "COMPLIANCE",
      });
      const until = String(asked.at(-1)?.headers["x-amz-object-lock-retain-until-date"]);
      expect(Date.parse(until)).toBeGreaterThan(Date.now() + 86_000_000);
    }
    await server.stop();
  });

  it.skipIf(!HAS_SSHD)("is no SFTP server with another host key", async () => {
    const server = await startSftp();
    const store = openStore(server.otherKey);
    const put = store.put("shop/B-1/dump", chunks(Buffer.from("x")), NO_END);
    await expect(put).rejects.toThrow(/host key/);
    const { directory } = server.config as Extract<BackupStoreConfig, { kind: "sftp" }>;
    expect(readdirSync(directory)).toEqual([]);
    await store.close();
    await server.stop();
  });
});
