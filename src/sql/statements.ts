import type { Node, ObjectType, RangeVar, RoleSpec } from "libpg-query";
import { judgeAlterTable } from "./alter-table.ts";
import { judgeNamedFunction, noteCreated, walk, walkFields } from "./walk.ts";
import { bodyOf, doBody, judgeCode, languageOf } from "./code.ts";
import { booleanOf } from "./constants.ts";
import { isCertainlyTemporary, judgeTarget } from "./dml.ts";
import { addDestruction, addEffect, addObject, addRefusal, newJudgement } from "./judgement.ts";
import type { Judgement } from "./judgement.ts";
import type { NodeName, NodeOf } from "./nodes.ts";
import { droppedObjects, kindOf, namesIn, objectOf } from "./objects.ts";
import { unsettled } from "./session.ts";
import type { PreparedStatement } from "./session.ts";
import { judgeSet, refuseUnsafeSetting } from "./settings.ts";
import { as, entryOf, lastOption, qualified, relationName, stringOf, stringsOf } from "./tree.ts";

/** PostgreSQL's statements: every node of the grammar that is named so. */
export type StatementName = Extract<NodeName, `${string}Stmt`>;

type JudgeOf<Name extends StatementName> = (j: Judgement, statement: NodeOf<Name>) => void;

/** Judges one statement: its own effects, then whatever runs inside it. */
export function judgeStatement(j: Judgement, statement: Node): void {
  const [name, fields] = entryOf(statement) ?? ["", {}];
  const judge = isStatementName(name) ? (STATEMENTS[name] as JudgeOf<never>) : undefined;
  if (judge === undefined) {
    addEffect(j, "opaque", `${name} is a statement whose meaning is not known here`);
    return;
  }
  judge(j, fields as never);
  if (!WALKS_ITSELF.has(name as StatementName)) walkFields(j, name, fields);
  if (j.unlinksMany && j.readsAllLargeObjects) {
    addDestruction(j, "lo_unlink is called for every large object");
  }
  // MERGE with nothing but DO NOTHING: it has looked at rows.
  if (j.effects.size === 0) addEffect(j, "read", "the statement changes nothing");
}

function isStatementName(name: string): name is StatementName {
  return Object.hasOwn(STATEMENTS, name);
}

/** A query that stands for a whole statement: its rows go to the client. */
function judgeQuery(j: Judgement, query: Node | undefined): void {
  const select = as(query, "SelectStmt");
  if (select !== undefined && !writesInto(select)) addEffect(j, "read", "a query yields rows");
}

function writesInto(select: NodeOf<"SelectStmt">): boolean {
  if (select.intoClause !== undefined) return true;
  return select.larg !== undefined && writesInto(select.larg);
}

/** A temporary table that it names may be gone when it is executed, and then the name is a permanent one's. */
function whenExecuted(j: Judgement, { query }: NodeOf<"PrepareStmt">): PreparedStatement {
  if (!j.dependsOnSession || query === undefined) {
    return { destructive: j.destructive, mustRefuse: j.mustRefuse };
  }
  const { session } = j.surroundings;
  const later = newJudgement({ ...j.surroundings, session: unsettled(session) });
  judgeStatement(later, query);
  return { destructive: later.destructive, mustRefuse: later.mustRefuse };
}

/** What a function's body, as far as it is written out, does once somebody calls it. */
function whenCalled(j: Judgement, s: NodeOf<"CreateFunctionStmt">): PreparedStatement {
  const later = newJudgement({ ...j.surroundings, session: unsettled(j.surroundings.session) });
  const body = bodyOf(s.options);
  if (body !== undefined) judgeCode(later, body);
  for (const statement of statementsIn(s.sql_body)) {
    if (as(statement, "ReturnStmt") === undefined) judgeStatement(later, statement);
    else walk(later, statement);
  }
  const { unlinksMany, readsAllLargeObjects, mustRefuse } = later;
  return { destructive: later.destructive || (unlinksMany && readsAllLargeObjects), mustRefuse };
}

/** BEGIN ATOMIC's statements, which the grammar gives as lists of lists. */
function statementsIn(body: Node | undefined): readonly Node[] {
  const items = as(body, "List")?.items;
  if (items !== undefined) return items.flatMap(statementsIn);
  return body === undefined ? [] : [body];
}

/** What runs inside them is judged by their own rule, because not all of it runs, or not now. */
/** Bit of DeclareCursorStmt's options (parsenodes.h). */
const CURSOR_OPT_HOLD = 0x0020;

const WALKS_ITSELF = new Set<StatementName>([
  "CreateFunctionStmt",
  "CreateSchemaStmt",
  "CreateTableAsStmt",
  "DeclareCursorStmt",
  "DeleteStmt",
  "DoStmt",
  "ExplainStmt",
  "InsertStmt",
  "MergeStmt",
  "PrepareStmt",
  "RuleStmt",
  "SelectStmt",
  "UpdateStmt",
  "ViewStmt",
]);

/**
 * What each statement does by itself. INVARIANT: complete; a statement that libpg_query gains does not compile until
 * it stands here.
 */
const STATEMENTS: { readonly [Name in StatementName]: JudgeOf<Name> } = {
  // --- queries and data ---
  SelectStmt: (j, s) => {
    judgeQuery(j, { SelectStmt: s });
    walk(j, { SelectStmt: s });
  },
  InsertStmt: (j, s) => {
    walk(j, { InsertStmt: s });
  },
  UpdateStmt: (j, s) => {
    walk(j, { UpdateStmt: s });
  },
  DeleteStmt: (j, s) => {
    walk(j, { DeleteStmt: s });
  },
  MergeStmt: (j, s) => {
    walk(j, { MergeStmt: s });
  },
  CopyStmt: judgeCopy,
  TruncateStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "TRUNCATE removes all rows");
    for (const node of s.relations ?? []) {
      const name = relationName(as(node, "RangeVar"));
      if (!isCertainlyTemporary(j, name)) addDestruction(j, "TRUNCATE removes all rows");
    }
  },
  DeclareCursorStmt: (j, s) => {
    judgeQuery(j, s.query);
    walk(j, s.query);
    const withHold = ((s.options ?? 0) & CURSOR_OPT_HOLD) !== 0;
    j.changes.push({ kind: "declared", name: s.portalname ?? "", withHold });
  },
  FetchStmt: (j) => {
    addEffect(j, "read", "reads from a cursor");
  },
  ClosePortalStmt: (j, s) => {
    addEffect(j, "session", "closes a cursor");
    j.changes.push({ kind: "closed", name: s.portalname });
  },
  PrepareStmt: (j, s) => {
    judgeQuery(j, s.query);
    if (as(s.query, "SelectStmt") === undefined && s.query !== undefined)
      judgeStatement(j, s.query);
    else walk(j, s.query);
    j.changes.push({ kind: "prepared", name: s.name ?? "", statement: whenExecuted(j, s) });
  },
  ExecuteStmt: judgeExecute,
  DeallocateStmt: (j, s) => {
    addEffect(j, "session", "forgets a prepared statement");
    j.changes.push({ kind: "deallocated", name: s.isall === true ? undefined : s.name });
  },
  ExplainStmt: judgeExplain,
  CreateTableAsStmt: judgeCreateTableAs,
  RefreshMatViewStmt: (j, s) => {
    addEffect(j, "write", "refills a materialized view");
    addRelation(j, "materialized view", s.relation);
  },
  LockStmt: (j) => {
    addEffect(j, "transaction", "holds a table lock until the transaction ends");
  },

  // --- transactions ---
  TransactionStmt: judgeTransaction,
  ConstraintsSetStmt: (j) => {
    addEffect(j, "transaction", "sets when constraints are checked");
  },

  // --- session ---
  VariableSetStmt: judgeSet,
  VariableShowStmt: (j) => {
    addEffect(j, "read", "shows a setting");
  },
  DiscardStmt: (j, s) => {
    addEffect(j, "session", "discards session state");
    if (s.target === "DISCARD_ALL") j.changes.push({ kind: "discarded_all" });
    if (s.target === "DISCARD_TEMP") j.changes.push({ kind: "temporary_in_doubt" });
  },
  NotifyStmt: (j) => {
    addEffect(j, "session", "sends a notification");
  },
  ListenStmt: (j) => {
    addEffect(j, "session", "listens for notifications");
  },
  UnlistenStmt: (j) => {
    addEffect(j, "session", "stops listening");
  },
  LoadStmt: (j) => {
    addEffect(j, "admin", "loads a library into the server");
    addEffect(j, "opaque", "what a loaded library does is not known");
  },

  // --- code ---
  DoStmt: (j, s) => {
    addEffect(j, "opaque", "DO runs code");
    j.runsText = true;
    const body = doBody(s);
    if (body !== undefined) judgeCode(j, body);
  },
  CallStmt: (j, s) => {
    j.runsUserCode = true;
    addObject(j, { kind: "procedure", ...qualified(stringsOf(s.funccall?.funcname)) });
    addEffect(j, "opaque", "CALL runs a procedure");
  },
  CreateFunctionStmt: (j, s) => {
    const kind = s.is_procedure === true ? "procedure" : "function";
    addObject(j, { kind, ...qualified(stringsOf(s.funcname)) });
    addEffect(j, "ddl", `creates a ${kind}`);
    addEffect(j, "opaque", `installs a ${kind}, which may do anything when it is called`);
    judgeFunctionOptions(j, s.options);
    const called = whenCalled(j, s);
    if (called.destructive || called.mustRefuse) {
      const { name } = qualified(stringsOf(s.funcname));
      j.changes.push({ kind: "defined", name, statement: called });
    }
    if (languageOf(s.options) === "c") {
      addEffect(j, "program_execution", "makes native code callable");
    }
  },
  AlterFunctionStmt: (j, s) => {
    addEffect(j, "ddl", "alters a function");
    addObject(j, { kind: kindOf(s.objtype), ...qualified(stringsOf(s.func?.objname)) });
    judgeFunctionOptions(j, s.actions);
  },
  CreateTrigStmt: (j, s) => {
    installs(j, "trigger", { schema: s.relation?.relname, name: s.trigname ?? "" });
  },
  CreateEventTrigStmt: (j, s) => {
    installs(j, "event trigger", bare(s.trigname));
  },
  AlterEventTrigStmt: (j, s) => {
    alters(j, "event trigger", bare(s.trigname));
  },
  CreatePLangStmt: (j, s) => {
    installs(j, "language", bare(s.plname));
  },
  CreateExtensionStmt: (j, s) => {
    installs(j, "extension", bare(s.extname));
  },
  AlterExtensionStmt: (j, s) => {
    alters(j, "extension", bare(s.extname));
    addEffect(j, "opaque", "an extension's update runs its script");
  },
  AlterExtensionContentsStmt: (j, s) => {
    alters(j, "extension", bare(s.extname));
  },
  CreateCastStmt: (j) => {
    installs(j, "cast", bare(undefined));
  },
  CreateTransformStmt: (j) => {
    installs(j, "transform", bare(undefined));
  },
  RuleStmt: (j, s) => {
    installs(j, "rule", { schema: s.relation?.relname, name: s.rulename ?? "" });
    const { surroundings } = j;
    for (const action of s.actions ?? []) {
      const later = newJudgement(surroundings);
      judgeStatement(later, action);
      if (later.destructive) addDestruction(j, "the rule's action destroys when it runs");
      if (later.mustRefuse) addRefusal(j, "the rule's action changes how the server reads text");
    }
  },

  // --- tables and relatives ---
  CreateStmt: (j, s) => {
    addEffect(j, "ddl", "creates a table");
    addRelation(j, "table", s.relation);
    if (s.relation !== undefined) noteCreated(j, s.relation, s.oncommit);
  },
  CreateForeignTableStmt: (j, s) => {
    addEffect(j, "ddl", "creates a foreign table");
    addRelation(j, "foreign table", s.base?.relation);
    judgeFileOptions(j, s.options);
  },
  AlterTableStmt: (j, s) => {
    judgeAlterTable(j, s);
    for (const cmd of s.cmds ?? []) {
      const command = as(cmd, "AlterTableCmd");
      if (command?.subtype === "AT_GenericOptions") {
        judgeFileOptions(j, as(command.def, "List")?.items);
      }
    }
  },
  AlterTableMoveAllStmt: (j, s) => {
    alters(j, "tablespace", bare(s.orig_tablespacename));
  },
  ViewStmt: (j, s) => {
    addEffect(j, "ddl", "creates a view");
    addRelation(j, "view", s.view);
    if (s.view !== undefined) noteCreated(j, s.view, undefined);
  },
  IndexStmt: (j, s) => {
    addEffect(j, "ddl", "creates an index");
    addObject(j, { kind: "index", schema: s.relation?.schemaname, name: s.idxname ?? "" });
    noteIndex(j, s);
  },
  CreateSeqStmt: (j, s) => {
    addEffect(j, "ddl", "creates a sequence");
    addRelation(j, "sequence", s.sequence);
    if (s.sequence !== undefined) noteCreated(j, s.sequence, undefined);
  },
  AlterSeqStmt: (j, s) => {
    addEffect(j, "ddl", "alters a sequence");
    addRelation(j, "sequence", s.sequence);
  },
  CreateStatsStmt: (j, s) => {
    creates(j, "statistics", qualified(stringsOf(s.defnames)));
  },
  AlterStatsStmt: (j, s) => {
    alters(j, "statistics", qualified(stringsOf(s.defnames)));
  },
  CreateSchemaStmt: (j, s) => {
    creates(j, "schema", bare(s.schemaname ?? s.authrole?.rolename));
    for (const element of s.schemaElts ?? []) judgeStatement(j, element);
  },
  ReplicaIdentityStmt: (j) => {
    addEffect(j, "ddl", "sets what identifies a replicated row");
  },

  // --- types, operators and other definitions ---
  CompositeTypeStmt: (j, s) => {
    addEffect(j, "ddl", "creates a type");
    addRelation(j, "type", s.typevar);
  },
  CreateEnumStmt: (j, s) => {
    creates(j, "type", qualified(stringsOf(s.typeName)));
  },
  AlterEnumStmt: (j, s) => {
    alters(j, "type", qualified(stringsOf(s.typeName)));
  },
  CreateRangeStmt: (j, s) => {
    creates(j, "type", qualified(stringsOf(s.typeName)));
    judgeNamedFunctions(j, s.params, ["canonical", "subtype_diff"]);
  },
  AlterTypeStmt: (j, s) => {
    alters(j, "type", qualified(stringsOf(s.typeName)));
    judgeNamedFunctions(j, s.options, TYPE_FUNCTIONS);
  },
  CreateDomainStmt: (j, s) => {
    creates(j, "domain", qualified(stringsOf(s.domainname)));
  },
  AlterDomainStmt: (j, s) => {
    addObject(j, { kind: "domain", ...qualified(stringsOf(s.typeName)) });
    if (s.subtype !== "X") {
      addEffect(j, "ddl", "alters a domain");
      return;
    }
    addEffect(j, "destructive_ddl", "drops a constraint of a domain");
    if (qualified(stringsOf(s.typeName)).schema !== "pg_temp") {
      addDestruction(j, "drops a constraint of a domain");
    }
  },
  DefineStmt: judgeDefine,
  CreateOpClassStmt: (j, s) => {
    creates(j, "operator class", qualified(stringsOf(s.opclassname)));
    judgeSupport(j, s.items);
  },
  CreateOpFamilyStmt: (j, s) => {
    creates(j, "operator family", qualified(stringsOf(s.opfamilyname)));
  },
  AlterOpFamilyStmt: (j, s) => {
    const name = qualified(stringsOf(s.opfamilyname));
    if (s.isDrop === true) {
      addObject(j, { kind: "operator family", ...name });
      addEffect(j, "destructive_ddl", "drops members of an operator family");
      addDestruction(j, "drops members of an operator family");
      return;
    }
    alters(j, "operator family", name);
    judgeSupport(j, s.items);
  },
  AlterOperatorStmt: (j, s) => {
    alters(j, "operator", qualified(stringsOf(s.opername?.objname)));
    judgeNamedFunctions(j, s.options, ["restrict", "join"]);
  },
  AlterCollationStmt: (j, s) => {
    alters(j, "collation", qualified(stringsOf(s.collname)));
  },
  CreateConversionStmt: (j, s) => {
    creates(j, "conversion", qualified(stringsOf(s.conversion_name)));
    judgeNamedFunction(j, { List: { items: s.func_name ?? [] } });
  },
  CreateAmStmt: (j, s) => {
    creates(j, "access method", bare(s.amname));
    judgeNamedFunction(j, { List: { items: s.handler_name ?? [] } });
  },
  AlterTSDictionaryStmt: (j, s) => {
    alters(j, "text search dictionary", qualified(stringsOf(s.dictname)));
  },
  AlterTSConfigurationStmt: (j, s) => {
    const name = qualified(stringsOf(s.cfgname));
    if (s.kind !== "ALTER_TSCONFIG_DROP_MAPPING") {
      alters(j, "text search configuration", name);
      return;
    }
    addObject(j, { kind: "text search configuration", ...name });
    addEffect(j, "destructive_ddl", "drops a mapping of a text search configuration");
    addDestruction(j, "drops a mapping of a text search configuration");
  },
  CommentStmt: (j, s) => {
    addEffect(j, "ddl", "sets a comment");
    addObject(j, objectOf(s.objtype, s.object));
  },
  RenameStmt: judgeRename,
  AlterObjectSchemaStmt: (j, s) => {
    addEffect(j, "ddl", "moves an object to another schema");
    noteNamed(j, s.objectType, s.relation, s.object);
  },
  AlterObjectDependsStmt: (j, s) => {
    addEffect(j, "ddl", "sets what an object depends on");
    noteNamed(j, s.objectType, s.relation, s.object);
  },

  // --- dropping ---
  DropStmt: judgeDrop,
  DropOwnedStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops every object of a role");
    addEffect(j, "privilege", "revokes every grant of a role");
    addDestruction(j, "drops every object of a role");
    noteRoles(j, s.roles);
    j.changes.push({ kind: "temporary_in_doubt" });
  },
  DropdbStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a database");
    addDestruction(j, "drops a database");
    clusterWide(j, "database", s.dbname);
  },
  DropTableSpaceStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a tablespace");
    addDestruction(j, "drops a tablespace");
    clusterWide(j, "tablespace", s.tablespacename);
  },
  DropRoleStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a role");
    addEffect(j, "privilege", "drops a role");
    addDestruction(j, "drops a role and its password");
    noteRoles(j, s.roles);
  },
  DropUserMappingStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a user mapping");
    addDestruction(j, "drops a user mapping");
    addObject(j, { kind: "user mapping", schema: undefined, name: s.servername ?? "" });
  },
  DropSubscriptionStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a subscription");
    addEffect(j, "replication", "drops a subscription and its slot at the publisher");
    addDestruction(j, "drops a subscription");
    addObject(j, { kind: "subscription", ...bare(s.subname) });
  },

  // --- privileges ---
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

  // --- server and databases ---
  CreatedbStmt: (j, s) => {
    addEffect(j, "ddl", "creates a database");
    clusterWide(j, "database", s.dbname);
  },
  AlterDatabaseStmt: (j, s) => {
    addEffect(j, "admin", "alters a database");
    clusterWide(j, "database", s.dbname);
  },
  AlterDatabaseRefreshCollStmt: (j, s) => {
    addEffect(j, "admin", "renews a database's collation version");
    clusterWide(j, "database", s.dbname);
  },
  AlterDatabaseSetStmt: (j, s) => {
    addEffect(j, "admin", "stores a setting for a database's future sessions");
    clusterWide(j, "database", s.dbname);
    refuseUnsafeSetting(j, s.setstmt);
  },
  AlterSystemStmt: (j, s) => {
    addEffect(j, "admin", "changes the server's configuration");
    j.reach = "cluster";
    refuseUnsafeSetting(j, s.setstmt);
  },
  CreateTableSpaceStmt: (j, s) => {
    addEffect(j, "ddl", "creates a tablespace");
    clusterWide(j, "tablespace", s.tablespacename);
  },
  AlterTableSpaceOptionsStmt: (j, s) => {
    addEffect(j, "ddl", "alters a tablespace");
    clusterWide(j, "tablespace", s.tablespacename);
  },
  VacuumStmt: (j, s) => {
    addEffect(j, "admin", s.is_vacuumcmd === true ? "vacuums tables" : "gathers statistics");
  },
  ClusterStmt: (j) => {
    addEffect(j, "admin", "rewrites tables in an index's order");
  },
  ReindexStmt: (j) => {
    addEffect(j, "admin", "rebuilds indexes");
  },
  CheckPointStmt: (j) => {
    addEffect(j, "admin", "forces a checkpoint");
    j.reach = "cluster";
  },

  // --- foreign data ---
  CreateFdwStmt: (j, s) => {
    creates(j, "foreign data wrapper", bare(s.fdwname));
    judgeNamedFunctions(j, s.func_options, ["handler", "validator"]);
  },
  AlterFdwStmt: (j, s) => {
    alters(j, "foreign data wrapper", bare(s.fdwname));
    judgeNamedFunctions(j, s.func_options, ["handler", "validator"]);
  },
  CreateForeignServerStmt: (j, s) => {
    creates(j, "server", bare(s.servername));
  },
  AlterForeignServerStmt: (j, s) => {
    alters(j, "server", bare(s.servername));
  },
  CreateUserMappingStmt: (j, s) => {
    creates(j, "user mapping", bare(s.servername));
  },
  AlterUserMappingStmt: (j, s) => {
    alters(j, "user mapping", bare(s.servername));
  },
  ImportForeignSchemaStmt: (j, s) => {
    creates(j, "foreign table", bare(s.remote_schema));
  },

  // --- replication ---
  CreatePublicationStmt: (j, s) => {
    creates(j, "publication", bare(s.pubname));
    addEffect(j, "replication", "creates a publication");
  },
  AlterPublicationStmt: (j, s) => {
    alters(j, "publication", bare(s.pubname));
    addEffect(j, "replication", "alters a publication");
  },
  CreateSubscriptionStmt: (j, s) => {
    creates(j, "subscription", bare(s.subname));
    addEffect(j, "replication", "creates a subscription");
  },
  AlterSubscriptionStmt: (j, s) => {
    alters(j, "subscription", bare(s.subname));
    addEffect(j, "replication", "alters a subscription");
  },

  // --- never a statement of its own ---
  RawStmt: unexpected,
  SetOperationStmt: unexpected,
  ReturnStmt: unexpected,
  PLAssignStmt: unexpected,
};

interface Name {
  readonly schema: string | undefined;
  readonly name: string;
}

function unexpected(j: Judgement): void {
  addEffect(j, "opaque", "this is not a statement that a client can send");
}

function bare(name: string | undefined): Name {
  return { schema: undefined, name: name ?? "" };
}

function creates(j: Judgement, kind: string, name: Name): void {
  addEffect(j, "ddl", `creates a ${kind}`);
  addObject(j, { kind, ...name });
}

function alters(j: Judgement, kind: string, name: Name): void {
  addEffect(j, "ddl", `alters a ${kind}`);
  addObject(j, { kind, ...name });
}

function installs(j: Judgement, kind: string, name: Name): void {
  creates(j, kind, name);
  addEffect(j, "opaque", `installs a ${kind}, which runs code later`);
}

function clusterWide(j: Judgement, kind: string, name: string | undefined): void {
  j.reach = "cluster";
  addObject(j, { kind, ...bare(name) });
}

function noteRoles(j: Judgement, roles: readonly Node[] | undefined): void {
  for (const role of roles ?? []) noteRole(j, as(role, "RoleSpec"));
}

function noteRole(j: Judgement, role: RoleSpec | undefined): void {
  clusterWide(j, "role", role === undefined ? "all" : namesIn({ RoleSpec: role })[0]);
}

function addRelation(j: Judgement, kind: string, relation: RangeVar | undefined): void {
  addObject(j, { kind, ...relationName(relation) });
}

function noteNamed(
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

/** Options that name functions: user code that is run by or through what is being defined. */
function judgeNamedFunctions(
  j: Judgement,
  options: readonly Node[] | undefined,
  names: readonly string[],
): void {
  for (const option of options ?? []) {
    const { defname = "", arg } = as(option, "DefElem") ?? {};
    if (names.includes(defname.toLowerCase())) judgeNamedFunction(j, arg);
  }
}

const TYPE_FUNCTIONS = [
  ...["input", "output", "receive", "send", "typmod_in", "typmod_out", "analyze", "subscript"],
];

function judgeDefine(j: Judgement, s: NodeOf<"DefineStmt">): void {
  const kind = kindOf(s.kind);
  const name = qualified(stringsOf(s.defnames));
  if (s.kind === "OBJECT_AGGREGATE" || s.kind === "OBJECT_OPERATOR") {
    installs(j, kind, name);
    return;
  }
  creates(j, kind, name);
  judgeNamedFunctions(j, s.definition, [
    ...TYPE_FUNCTIONS,
    ...["start", "gettoken", "end", "headline", "lextypes", "init", "lexize"],
  ]);
}

/** Members of an operator class: functions and operators that an index will call. */
function judgeSupport(j: Judgement, items: readonly Node[] | undefined): void {
  const OPERATOR = 1;
  for (const item of items ?? []) {
    const member = as(item, "CreateOpClassItem");
    const names = member?.name?.objname;
    if (names === undefined) continue;
    if (member?.itemtype === OPERATOR) {
      walk(j, { A_Expr: { kind: "AEXPR_OP", name: names } });
    } else {
      judgeNamedFunction(j, { List: { items: names } });
    }
  }
}

function judgeFunctionOptions(j: Judgement, options: readonly Node[] | undefined): void {
  const security = as(lastOption(options, "security")?.arg, "Boolean");
  if (security?.boolval === true) {
    addEffect(j, "privilege", "SECURITY DEFINER runs it with its owner's rights");
  }
  for (const option of options ?? []) {
    const def = as(option, "DefElem");
    if (def?.defname === "set") {
      refuseUnsafeSetting(j, as(def.arg, "VariableSetStmt"));
    }
  }
}

/** file_fdw's options: its tables read a file of the server, or a program's output. */
function judgeFileOptions(j: Judgement, options: readonly Node[] | undefined): void {
  for (const option of options ?? []) {
    const { defname, defaction } = as(option, "DefElem") ?? {};
    if (defaction === "DEFELEM_DROP") continue;
    if (defname === "filename") addEffect(j, "file_access", "the table reads a file of the server");
    if (defname === "program") {
      addEffect(j, "program_execution", "the table runs a program on the server");
    }
  }
}

function judgeCopy(j: Judgement, s: NodeOf<"CopyStmt">): void {
  const name = s.filename === undefined ? undefined : s.is_program === true ? "program" : "file";
  if (s.is_from === true) {
    addEffect(j, "write", "COPY adds rows", s.relation?.location);
    judgeTarget(j, s.relation);
    if (name === undefined) addEffect(j, "copy_in", "the client streams rows in");
  } else {
    if (s.query === undefined) addEffect(j, "read", "COPY reads a table", s.relation?.location);
    else judgeQuery(j, s.query);
    if (name === undefined) addEffect(j, "copy_out", "the server streams rows out");
    if (name === "file") addDestruction(j, "overwrites a file of the server");
  }
  if (name === "file") addEffect(j, "file_access", "COPY opens a file of the server");
  if (name === "program") {
    addEffect(j, "program_execution", "COPY runs a program on the server");
    addDestruction(j, "nothing bounds what a program on the server does");
  }
}

function judgeExecute(j: Judgement, s: NodeOf<"ExecuteStmt">): void {
  j.dependsOnSession = true;
  j.runsUserCode = true;
  addEffect(j, "opaque", "EXECUTE runs what was prepared earlier");
  const prepared = j.surroundings.session.prepared.get(s.name ?? "");
  if (prepared?.destructive === true)
    addDestruction(j, "what was prepared under this name destroys");
  if (prepared?.mustRefuse === true) {
    addRefusal(j, "what was prepared under this name changes how the server reads text");
  }
}

/** With ANALYZE in force (the last value wins) the statement runs; without, only planning may run user code. */
function judgeExplain(j: Judgement, s: NodeOf<"ExplainStmt">): void {
  addEffect(j, "read", "EXPLAIN shows a plan");
  if (s.query === undefined) return;
  const analyze = lastOption(s.options, "analyze");
  if (analyze !== undefined && isOn(analyze.arg)) {
    if (as(s.query, "SelectStmt") === undefined) judgeStatement(j, s.query);
    else walk(j, s.query);
    return;
  }
  const planned = newJudgement(j.surroundings);
  judgeStatement(planned, s.query);
  for (const object of planned.objects.values()) addObject(j, object);
  j.hasParameters = planned.hasParameters;
  j.dependsOnSession = planned.dependsOnSession;
  const execute = as(s.query, "ExecuteStmt");
  if (execute !== undefined) walkFields(j, "ExecuteStmt", execute); // its arguments are evaluated even so
  if (planned.runsUserCode) addEffect(j, "opaque", "planning may run user functions");
}

function isOn(arg: Node | undefined): boolean {
  if (arg === undefined) return true;
  const number = as(arg, "Integer");
  if (number !== undefined) return number.ival !== undefined && number.ival !== 0;
  const word = stringOf(arg) ?? as(arg, "Float")?.fval;
  // What the server would refuse counts as on.
  return word === undefined || booleanOf(word) !== false;
}

function judgeCreateTableAs(j: Judgement, s: NodeOf<"CreateTableAsStmt">): void {
  const kind = kindOf(s.objtype);
  const { into } = s;
  addEffect(j, "ddl", `creates a ${kind}`);
  addRelation(j, kind, into?.rel);
  if (into?.rel !== undefined) noteCreated(j, into.rel, into.onCommit);
  const execute = as(s.query, "ExecuteStmt");
  if (into?.skipData === true && execute === undefined) return; // the query is not even planned
  if (into?.skipData !== true) addEffect(j, "write", `fills a ${kind}`);
  if (execute !== undefined) judgeExecute(j, execute);
  walk(j, s.query);
}

function judgeTransaction(j: Judgement, s: NodeOf<"TransactionStmt">): void {
  addEffect(j, "transaction", "controls the transaction");
  const chain = s.chain === true;
  const name = s.savepoint_name ?? "";
  switch (s.kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START":
      j.changes.push({ kind: "begin" });
      return;
    case "TRANS_STMT_COMMIT":
      j.changes.push({ kind: "commit", chain });
      return;
    case "TRANS_STMT_ROLLBACK":
    case "TRANS_STMT_PREPARE":
      j.changes.push({ kind: "rollback", chain });
      return;
    case "TRANS_STMT_SAVEPOINT":
      j.changes.push({ kind: "savepoint", name });
      return;
    case "TRANS_STMT_RELEASE":
      j.changes.push({ kind: "release", name });
      return;
    case "TRANS_STMT_ROLLBACK_TO":
      j.changes.push({ kind: "rollback_to", name });
      return;
    case "TRANS_STMT_COMMIT_PREPARED":
    case "TRANS_STMT_ROLLBACK_PREPARED":
    case undefined:
      addEffect(j, "opaque", "what was prepared is not in this text");
  }
}

function judgeRename(j: Judgement, s: NodeOf<"RenameStmt">): void {
  if (s.renameType === "OBJECT_ROLE") {
    addEffect(j, "privilege", "renames a role");
    clusterWide(j, "role", s.subname);
    return;
  }
  addEffect(j, "ddl", "renames an object");
  if (s.renameType === "OBJECT_PUBLICATION" || s.renameType === "OBJECT_SUBSCRIPTION") {
    addEffect(j, "replication", "renames a publication or subscription");
  }
  if (s.renameType === "OBJECT_DATABASE") {
    clusterWide(j, "database", s.subname);
  } else {
    noteNamed(j, s.renameType, s.relation, s.object);
  }
  const isRelation = s.renameType !== "OBJECT_COLUMN" && s.renameType !== "OBJECT_TABCONSTRAINT";
  if (isRelation && s.relation !== undefined) {
    j.changes.push({ kind: "renamed", from: s.relation.relname ?? "", to: s.newname ?? "" });
  }
}

function judgeDrop(j: Judgement, s: NodeOf<"DropStmt">): void {
  const kind = kindOf(s.removeType);
  addEffect(j, "destructive_ddl", `drops a ${kind}`);
  if (s.removeType === "OBJECT_POLICY") addEffect(j, "privilege", "drops a row security policy");
  if (s.removeType === "OBJECT_PUBLICATION") addEffect(j, "replication", "drops a publication");
  const dropped = droppedObjects(s);
  const areRelations = s.removeType !== undefined && RELATIONS.has(s.removeType);
  for (const { object, holder } of dropped) {
    addObject(j, object);
    const named = areRelations || holder.kind === "table";
    const isTemporary = named ? isCertainlyTemporary(j, holder) : holder.schema === "pg_temp";
    if (!isTemporary) addDestruction(j, `drops a ${kind}`);
  }
  if (areRelations) {
    j.changes.push({ kind: "dropped", names: dropped.map(({ object }) => object.name) });
  }
}

/** Kinds whose names are looked up among a session's temporary relations first. */
const RELATIONS = new Set<ObjectType>([
  "OBJECT_FOREIGN_TABLE",
  "OBJECT_INDEX",
  "OBJECT_MATVIEW",
  "OBJECT_SEQUENCE",
  "OBJECT_TABLE",
  "OBJECT_VIEW",
]);

/** An index of a temporary table lives and goes with it. */
function noteIndex(j: Judgement, s: NodeOf<"IndexStmt">): void {
  const name = s.idxname;
  if (name === undefined || !isCertainlyTemporary(j, relationName(s.relation))) return;
  j.changes.push({ kind: "created_temporary", name, untilCommit: false });
}
