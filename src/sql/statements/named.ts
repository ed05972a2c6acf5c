import type { Node, RangeVar, RoleSpec } from "libpg-query";
import { addEffect, addObject } from "../judgement.ts";
import type { Judgement } from "../judgement.ts";
import type { NodeOf } from "../nodes.ts";
import { namesIn, objectOf } from "../objects.ts";
import { as, relationName } from "../tree.ts";

interface Name {
  readonly schema: string | undefined;
  readonly name: string;
}

export function bare(name: string | undefined): Name {
  return { schema: undefined, name: name ?? "" };
}

export function creates(j: Judgement, kind: string, name: Name): void {
  addEffect(j, "ddl", `creates a ${kind}`);
  addObject(j, { kind, ...name });
}

export function alters(j: Judgement, kind: string, name: Name): void {
  addEffect(j, "ddl", `alters a ${kind}`);
  addObject(j, { kind, ...name });
}

export function installs(j: Judgement, kind: string, name: Name): void {
  creates(j, kind, name);
  addEffect(j, "opaque", `installs a ${kind}, which runs code later`);
}

export function clusterWide(j: Judgement, kind: string, name: string | undefined): void {
  j.reach = "cluster";
  addObject(j, { kind, ...bare(name) });
}

export function noteRoles(j: Judgement, roles: readonly Node[] | undefined): void {
  for (const role of roles ?? []) noteRole(j, as(role, "RoleSpec"));
}

export function noteRole(j: Judgement, role: RoleSpec | undefined): void {
  clusterWide(j, "role", role === undefined ? "all" : namesIn({ RoleSpec: role })[0]);
}

export function addRelation(j: Judgement, kind: string, relation: RangeVar | undefined): void {
  addObject(j, { kind, ...relationName(relation) });
}

export function noteNamed(
  j: Judgement,
  type: NodeOf<"RenameStmt">["renameType"],
  relation: RangeVar | undefined,
  object: Node | undefined,
): void {
  const node = object ?? (relation === undefined ? undefined : { RangeVar: relation });
  const named = objectOf(type, node);
  addObject(j, named);
  if (named.kind === "database" || named.kind === "role" || named.kind === "tablespace") {
    j.reach = "cluster";
  }
}
