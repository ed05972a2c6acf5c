import type { Host } from "./config.ts";

/** Reads `db1`, `db1:5433`, `[2001:db8::1]:5433`, `2001:db8::1` (without a port) or `/var/run/postgresql`. */
export function parseHost(text: string, defaultPort: number): Host {
  const [, named = text, itsPort] = /^(\[.+\]|[^:]+):(\d+)$/.exec(text) ?? [];
  const port = itsPort === undefined ? defaultPort : Number(itsPort);
  // The name that PostgreSQL gives its socket (PostgreSQL docs, "unix_socket_directories").
  if (named.startsWith("/")) return { kind: "unix", path: `${named}/.s.PGSQL.${port}` };
  return { kind: "tcp", host: named.replace(/^\[|\]$/g, ""), port };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The same for the same server, as far as names tell: all ways to this machine are one. */
export function serverName(host: Host): string {
  if (host.kind === "unix") return `localhost ${host.path.replace(/^.*\./, "")}`;
  return `${isLoopback(host.host) ? "localhost" : host.host.toLowerCase()} ${host.port}`;
}
