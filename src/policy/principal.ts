import type { NamedPlace } from "./named-place.ts";

/** Who a session belongs to, once proved: a person or a workload, never a database role. */
export interface Principal {
  readonly kind: "person" | "workload";
  readonly name: string;
  readonly roles: readonly string[];
  /** Those of its roles that it has for a while only. */
  readonly elevatedTo?: readonly string[] | undefined;
  /** Never does anything but read, whatever its roles are. */
  readonly onlyReads?: boolean | undefined;
  /** Where it may be used from; none ties it to nothing. */
  readonly places?: readonly NamedPlace[] | undefined;
}

/** Whether all that it does is to read, where these roles only do: any other role besides lifts that. */
export function onlyReads(principal: Principal, readOnlyRoles: readonly string[]): boolean {
  return (
    principal.onlyReads === true || principal.roles.every((role) => readOnlyRoles.includes(role))
  );
}
