import type { IpAddress } from "./network.ts";

/** How a principal proved who it is. */
export const AUTH_METHODS = [
  "scram-sha-256",
  "scram-sha-256-plus",
  "certificate",
  "token",
  "short-lived-password",
  "password",
  "md5",
] as const;

export type AuthMethod = (typeof AUTH_METHODS)[number];

/** From where, and how, a frontend is connected. Constant for a session but for `applicationName`, which SET changes. */
export interface Client {
  /** `undefined` for a Unix socket. */
  readonly address: IpAddress | undefined;
  /** As the frontend claims: good for routine, no proof of anything. */
  readonly applicationName: string;
  readonly hasTls: boolean;
  readonly method: AuthMethod;
}
