import { addEffect, addObject } from "../judgement.ts";
import { objectOf } from "../objects.ts";
import { refuseUnsafeSetting } from "../settings.ts";
import { as } from "../tree.ts";
import { clusterWide, noteNamed, noteRole, noteRoles } from "./named.ts";
import type { StatementTable } from "./statement-table.ts";

/** Who may do what: grants, roles, owners, policies. */
export const PRIVILEGES = {
  GrantStmt: (j, s) => {
    addEffect(j, "privilege", s.is_grant === true ? "grants privileges" : "revokes privileges");
    const type = s.targtype === "ACL_TARGET_ALL_IN_SCHEMA" ? "OBJECT_SCHEMA" : s.objtype;
    for (const node of s.objects ?? []) addObject(j, objectOf(type, node));
    if (s.objtype === "OBJECT_DATABASE" || s.objtype === "OBJECT_TABLESPACE") j.reach = "cluster";
    if (s.objtype === "OBJECT_PARAMETER_ACL") j.reach = "cluster";
  },
  GrantRoleStmt: (j, s) => {
    addEffect(j, "privilege", s.is_grant === true ? "grants a role" : "revokes a role");
    for (const role of s.granted_roles ?? []) {
      clusterWide(j, "role", as(role, "AccessPriv")?.priv_name);
    }
  },
  AlterDefaultPrivilegesStmt: (j) => {
    addEffect(j, "privilege", "changes the privileges of objects to come");
  },
  CreateRoleStmt: (j, s) => {
    addEffect(j, "privilege", "creates a role");
    clusterWide(j, "role", s.role);
  },
  AlterRoleStmt: (j, s) => {
    addEffect(j, "privilege", "alters a role");
    noteRole(j, s.role);
  },
  AlterRoleSetStmt: (j, s) => {
    addEffect(j, "admin", "stores a setting for a role's future sessions");
    noteRole(j, s.role);
    refuseUnsafeSetting(j, s.setstmt);
  },
  AlterOwnerStmt: (j, s) => {
    addEffect(j, "privilege", "changes an owner");
    if (s.objectType === "OBJECT_PUBLICATION" || s.objectType === "OBJECT_SUBSCRIPTION") {
      addEffect(j, "replication", "changes the owner of replication");
    }
    noteNamed(j, s.objectType, s.relation, s.object);
  },
  ReassignOwnedStmt: (j, s) => {
    addEffect(j, "privilege", "gives every object of a role to another");
    noteRoles(j, s.roles);
  },
  CreatePolicyStmt: (j, s) => {
    addEffect(j, "privilege", "creates a row security policy");
    addObject(j, { kind: "policy", schema: s.table?.relname, name: s.policy_name ?? "" });
  },
  AlterPolicyStmt: (j, s) => {
    addEffect(j, "privilege", "alters a row security policy");
    addObject(j, { kind: "policy", schema: s.table?.relname, name: s.policy_name ?? "" });
  },
  SecLabelStmt: (j, s) => {
    addEffect(j, "privilege", "sets a security label");
    addObject(j, objectOf(s.objtype, s.object));
  },
} satisfies Partial<StatementTable>;
