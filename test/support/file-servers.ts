import { execFileSync, spawn } from "node:child_process";
import { createHash, createHmac, generateKeyPairSync, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";
import S3rver from "s3rver";
import type { BackupStoreConfig } from "../../src/config/backups.ts";

export interface FileServer {
  readonly config: BackupStoreConfig;
  /** Cuts every connection after so many more bytes from the client, once. */
  cutAfter(bytes: number): void;
  stop(): Promise<void>;
}

const ACCESS_KEY = "S3RVER";
const SECRET_KEY = "S3RVER";
const REGION = "us-east-1";

/**
 * s3rver, a real S3-compatible server, behind a gate that checks SigV4 itself: s3rver answers 200 to a wrong secret too.
 */
export async function startS3(): Promise<
  FileServer & {
    readonly wrongSecret: BackupStoreConfig;
    readonly requests: readonly http.IncomingMessage[];
  }
> {
  const directory = mkdtempSync(path.join(tmpdir(), "twokey-s3-"));
  const behind = new S3rver({
    port: 0,
    address: "127.0.0.1",
    silent: true,
    directory,
    configureBuckets: [{ name: "backups", configs: [] }],
  });
  const { port: realPort } = await behind.run();
  const requests: http.IncomingMessage[] = [];
  let bytesLeft = Number.POSITIVE_INFINITY;
  const gate = http.createServer((request, response) => {
    requests.push(request);
    if (!isSigned(request)) {
      request.resume();
      response.writeHead(403, { "content-type": "application/xml" });
      response.end("<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>");
      return;
    }
    const headers = { ...request.headers };
    delete headers.host;
    delete headers.authorization;
    const forward = http.request(
      { port: realPort, host: "127.0.0.1", method: request.method, path: request.url, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    forward.on("error", () => response.destroy());
    response.on("close", () => forward.destroy());
    request.on("data", (chunk: Buffer) => {
      bytesLeft -= chunk.length;
      if (bytesLeft < 0) request.socket.destroy();
      else forward.write(chunk);
    });
    request.on("end", () => forward.end());
  });
  gate.listen(0, "127.0.0.1");
  await once(gate, "listening");
  const { port } = gate.address() as net.AddressInfo;
  const secretFile = path.join(directory, "secret");
  const wrongFile = path.join(directory, "wrong");
  writeFileSync(secretFile, SECRET_KEY);
  writeFileSync(wrongFile, "another");
  const config: BackupStoreConfig = {
    kind: "s3",
    endpoint: `http://127.0.0.1:${port}`,
    bucket: "backups",
    prefix: "team/",
    region: REGION,
    accessKey: { from: "file", path: secretFile },
    secretKey: { from: "file", path: secretFile },
    encryption: "AES256",
    lock: undefined,
    partBytes: 5 << 20,
  };
  return {
    config,
    wrongSecret: { ...config, secretKey: { from: "file", path: wrongFile } },
    requests,
    cutAfter: (bytes) => {
      bytesLeft = bytes;
    },
    stop: async () => {
      gate.closeAllConnections();
      gate.close();
      await behind.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** AWS Signature Version 4 by the letter of its documentation, sharing no code with the client's. */
function isSigned({ method = "", url = "", headers }: http.IncomingMessage): boolean {
  const [, key, day, signed, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/us-east-1\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? "",
    ) ?? [];
  if (key !== ACCESS_KEY || day === undefined || signed === undefined || signature === undefined)
    return false;
  const [pathname = "", query = ""] = url.split("?");
  const sorted = query
    .split("&")
    .filter(Boolean)
    .map((one) => (one.includes("=") ? one : `${one}=`))
    .sort()
    .join("&");
  const canonicalHeaders = signed
    .split(";")
    .map((name) => `${name}:${String(headers[name]).trim()}\n`)
    .join("");
  const canonical = [
    method,
    pathname,
    sorted,
    canonicalHeaders,
    signed,
    headers["x-amz-content-sha256"],
  ].join("\n");
  const scope = `${day}/${REGION}/s3/aws4_request`;
  const toSign = [
    "AWS4-HMAC-SHA256",
    headers["x-amz-date"],
    scope,
    createHash("sha256").update(canonical).digest("hex"),
  ].join("\n");
  const hmac = (secret: string | Buffer, text: string): Buffer =>
    createHmac("sha256", secret).update(text).digest();
  const signingKey = ["s3", "aws4_request"].reduce(
    (secret, text) => hmac(secret, text),
    hmac(hmac(`AWS4${SECRET_KEY}`, day), REGION),
  );
  return timingSafeEqual(hmac(signingKey, toSign), Buffer.from(signature, "hex"));
}

const SSHD = "/usr/sbin/sshd";
export const HAS_SSHD = existsSync(SSHD);

/** Debian's sshd on a port of its own, with sftp only, reached through a relay that can be cut. */
export async function startSftp(): Promise<FileServer & { readonly otherKey: BackupStoreConfig }> {
  const directory = mkdtempSync(path.join(tmpdir(), "twokey-sshd-"));
  const at = (name: string): string => path.join(directory, name);
  for (const name of ["host", "user"]) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(name)]);
  }
  mkdirSync(at("backups"));
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
  writeFileSync(at("authorized"), readFileSync(at("user.pub")));
  chmodSync(at("authorized"), 0o600);
  const port = await freePort();
  writeFileSync(
    at("sshd_config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${at("host")}`,
      `AuthorizedKeysFile ${at("authorized")}`,
      `PidFile ${at("pid")}`,
      "StrictModes no",
      "UsePAM no",
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "Subsystem sftp internal-sftp",
      "",
    ].join("\n"),
  );
  const sshd = spawn(SSHD, ["-D", "-e", "-f", at("sshd_config")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  await new Promise<void>((resolve, reject) => {
    sshd.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes("Server listening")) resolve();
    });
    sshd.once("exit", () => {
      reject(new Error(said));
    });
  });
  let bytesLeft = Number.POSITIVE_INFINITY;
  const open = new Set<net.Socket>();
  const relay = net.createServer((socket) => {
    const server = net.connect(port, "127.0.0.1");
    for (const one of [socket, server]) {
      open.add(one);
      one.on("error", () => undefined).on("close", () => open.delete(one));
      one.setNoDelay(true);
    }
    server.on("data", (chunk) => socket.write(chunk));
    socket.on("data", (chunk) => {
      bytesLeft -= chunk.length;
      if (bytesLeft < 0) {
        bytesLeft = Number.POSITIVE_INFINITY;
        socket.destroy();
        server.destroy();
      } else server.write(chunk);
    });
    socket.on("close", () => server.destroy());
    server.on("close", () => socket.destroy());
  });
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  const fingerprint =
    /SHA256:\S+/.exec(
      execFileSync("ssh-keygen", ["-lf", at("host.pub")], { encoding: "utf8" }),
    )?.[0] ?? "";
  const config: BackupStoreConfig = {
    kind: "sftp",
    host: "127.0.0.1",
    port: (relay.address() as net.AddressInfo).port,
    user: userInfo().username,
    key: { from: "file", path: at("user") },
    hostKey: fingerprint,
    directory: at("backups"),
  };
  const other = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" });
  const digest = createHash("sha256").update(other).digest("base64").replace(/=+$/, "");
  return {
    config,
    otherKey: { ...config, hostKey: `SHA256:${digest}` },
    cutAfter: (bytes) => {
      bytesLeft = bytes;
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      relay.close();
      sshd.kill();
      await once(sshd, "exit");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const probe = net.createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
