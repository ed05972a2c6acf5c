import type { Node } from "libpg-query";
import type { SqlObject } from "./classification.ts";
import type { Judgement } from "./judgement.ts";
import { kindOf } from "./objects.ts";
import type { StatementName } from "./statements/statement-table.ts";
import { as, entryOf, lastOption } from "./tree.ts";

const MAX_CHARACTERS = 120;
const MAX_NAMES = 3;

/** A statement in a few words: `DROP DATABASE "shop"`, `DELETE without a filter on "users"`. */
export function summarize(statement: Node, j: Judgement): string {
  const [name] = entryOf(statement) ?? [""];
  const command = commandOf(statement, name);
  const named = namesOf([...j.objects.values()]);
  const words = [command, linkOf(name, j), named].filter((part) => part !== "").join(" ");
  const hidden = j.destructive && !SPEAKS_FOR_ITSELF.test(command) ? destructionOf(j) : "";
  return shortened(printable(`${words}${hidden}`));
}

function commandOf(statement: Node, name: string): string {
  const drop = as(statement, "DropStmt");
  if (drop !== undefined) return `DROP ${kindOf(drop.removeType).toUpperCase()}`;
  const transaction = as(statement, "TransactionStmt");
  if (transaction !== undefined) {
    return (transaction.kind ?? "").replace("TRANS_STMT_", "").replaceAll("_", " ");
  }
  const set = as(statement, "VariableSetStmt");
  if (set !== undefined) {
    return `${set.kind?.startsWith("VAR_RESET") === true ? "RESET" : "SET"} ${set.name ?? "ALL"}`;
  }
  const explain = as(statement, "ExplainStmt");
  if (explain?.query !== undefined) {
    const run = lastOption(explain.options, "analyze") === undefined ? "" : "ANALYZE ";
    return `EXPLAIN ${run}${commandOf(explain.query, entryOf(explain.query)?.[0] ?? "")}`;
  }
  const execute = as(statement, "ExecuteStmt");
  if (execute !== undefined) return `EXECUTE ${quoted(execute.name ?? "")}`;
  const prepare = as(statement, "PrepareStmt");
  if (prepare !== undefined) return `PREPARE ${quoted(prepare.name ?? "")}`;
  const vacuum = as(statement, "VacuumStmt");
  if (vacuum !== undefined) return vacuum.is_vacuumcmd === true ? "VACUUM" : "ANALYZE";
  const grant = as(statement, "GrantStmt") ?? as(statement, "GrantRoleStmt");
  if (grant !== undefined) return grant.is_grant === true ? "GRANT" : "REVOKE";
  const alter = as(statement, "AlterTableStmt");
  if (alter !== undefined) return `ALTER ${kindOf(alter.objtype).toUpperCase()}`;
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name as PlainName] : name;
}

function linkOf(name: string, j: Judgement): string {
  if (name === "DeleteStmt" && !j.destructive) return "from";
  if (name === "DeleteStmt" || name === "UpdateStmt") {
    return j.destructive ? "without a filter on" : "";
  }
  if (name === "InsertStmt" || name === "MergeStmt") return "into";
  return name === "SelectStmt" && j.objects.size > 0 ? "from" : "";
}

/** Commands whose name already says that something is lost. */
const SPEAKS_FOR_ITSELF = /^(?:DROP|TRUNCATE|DELETE|UPDATE)\b/;

function destructionOf({ findings }: Judgement): string {
  return `: ${findings.find((finding) => finding.of === "destructive")?.because ?? ""}`;
}

function namesOf(objects: readonly SqlObject[]): string {
  const [first] = objects;
  if (first === undefined) return "";
  const alike = objects.filter(({ kind }) => kind === first.kind);
  const shown = alike.slice(0, MAX_NAMES).map(nameOf).join(", ");
  const more = alike.length - MAX_NAMES;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

function nameOf({ schema, name }: SqlObject): string {
  return schema === undefined ? quoted(name) : `${quoted(schema)}.${quoted(name)}`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Without control characters, line breaks and what turns the direction of writing: it goes to terminals and mails. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu, "");
}

function shortened(text: string): string {
  const characters = Array.from(text);
  if (characters.length <= MAX_CHARACTERS) return text;
  return `${characters.slice(0, MAX_CHARACTERS - 1).join("")}…`;
}

/** Statements whose command is always the same words. */
type PlainName = Exclude<
  StatementName,
  | "AlterTableStmt"
  | "DropStmt"
  | "ExecuteStmt"
  | "ExplainStmt"
  | "GrantRoleStmt"
  | "GrantStmt"
  | "PrepareStmt"
  | "TransactionStmt"
  | "VacuumStmt"
  | "VariableSetStmt"
>;

const COMMANDS: Readonly<Record<PlainName, string>> = {
  AlterCollationStmt: "ALTER COLLATION",
  AlterDatabaseRefreshCollStmt: "ALTER DATABASE",
  AlterDatabaseSetStmt: "ALTER DATABASE",
  AlterDatabaseStmt: "ALTER DATABASE",
  AlterDefaultPrivilegesStmt: "ALTER DEFAULT PRIVILEGES",
  AlterDomainStmt: "ALTER DOMAIN",
  AlterEnumStmt: "ALTER TYPE",
  AlterEventTrigStmt: "ALTER EVENT TRIGGER",
  AlterExtensionContentsStmt: "ALTER EXTENSION",
  AlterExtensionStmt: "ALTER EXTENSION",
  AlterFdwStmt: "ALTER FOREIGN DATA WRAPPER",
  AlterForeignServerStmt: "ALTER SERVER",
  AlterFunctionStmt: "ALTER FUNCTION",
  AlterObjectDependsStmt: "ALTER DEPENDS ON EXTENSION",
  AlterObjectSchemaStmt: "ALTER SET SCHEMA",
  AlterOperatorStmt: "ALTER OPERATOR",
  AlterOpFamilyStmt: "ALTER OPERATOR FAMILY",
  AlterOwnerStmt: "ALTER OWNER",
  AlterPolicyStmt: "ALTER POLICY",
  AlterPublicationStmt: "ALTER PUBLICATION",
  AlterRoleSetStmt: "ALTER ROLE SET",
  AlterRoleStmt: "ALTER ROLE",
  AlterSeqStmt: "ALTER SEQUENCE",
  AlterStatsStmt: "ALTER STATISTICS",
  AlterSubscriptionStmt: "ALTER SUBSCRIPTION",
  AlterSystemStmt: "ALTER SYSTEM",
  AlterTableMoveAllStmt: "ALTER ALL IN TABLESPACE",
  AlterTableSpaceOptionsStmt: "ALTER TABLESPACE",
  AlterTSConfigurationStmt: "ALTER TEXT SEARCH CONFIGURATION",
  AlterTSDictionaryStmt: "ALTER TEXT SEARCH DICTIONARY",
  AlterTypeStmt: "ALTER TYPE",
  AlterUserMappingStmt: "ALTER USER MAPPING",
  CallStmt: "CALL",
  CheckPointStmt: "CHECKPOINT",
  ClosePortalStmt: "CLOSE",
  ClusterStmt: "CLUSTER",
  CommentStmt: "COMMENT",
  CompositeTypeStmt: "CREATE TYPE",
  ConstraintsSetStmt: "SET CONSTRAINTS",
  CopyStmt: "COPY",
  CreateAmStmt: "CREATE ACCESS METHOD",
  CreateCastStmt: "CREATE CAST",
  CreateConversionStmt: "CREATE CONVERSION",
  CreatedbStmt: "CREATE DATABASE",
  CreateDomainStmt: "CREATE DOMAIN",
  CreateEnumStmt: "CREATE TYPE",
  CreateEventTrigStmt: "CREATE EVENT TRIGGER",
  CreateExtensionStmt: "CREATE EXTENSION",
  CreateFdwStmt: "CREATE FOREIGN DATA WRAPPER",
  CreateForeignServerStmt: "CREATE SERVER",
  CreateForeignTableStmt: "CREATE FOREIGN TABLE",
  CreateFunctionStmt: "CREATE FUNCTION",
  CreateOpClassStmt: "CREATE OPERATOR CLASS",
  CreateOpFamilyStmt: "CREATE OPERATOR FAMILY",
  CreatePLangStmt: "CREATE LANGUAGE",
  CreatePolicyStmt: "CREATE POLICY",
  CreatePublicationStmt: "CREATE PUBLICATION",
  CreateRangeStmt: "CREATE TYPE",
  CreateRoleStmt: "CREATE ROLE",
  CreateSchemaStmt: "CREATE SCHEMA",
  CreateSeqStmt: "CREATE SEQUENCE",
  CreateStatsStmt: "CREATE STATISTICS",
  CreateStmt: "CREATE TABLE",
  CreateSubscriptionStmt: "CREATE SUBSCRIPTION",
  CreateTableAsStmt: "CREATE TABLE AS",
  CreateTableSpaceStmt: "CREATE TABLESPACE",
  CreateTransformStmt: "CREATE TRANSFORM",
  CreateTrigStmt: "CREATE TRIGGER",
  CreateUserMappingStmt: "CREATE USER MAPPING",
  DeallocateStmt: "DEALLOCATE",
  DeclareCursorStmt: "DECLARE CURSOR",
  DefineStmt: "CREATE",
  DeleteStmt: "DELETE",
  DiscardStmt: "DISCARD",
  DoStmt: "DO",
  DropdbStmt: "DROP DATABASE",
  DropOwnedStmt: "DROP OWNED",
  DropRoleStmt: "DROP ROLE",
  DropSubscriptionStmt: "DROP SUBSCRIPTION",
  DropTableSpaceStmt: "DROP TABLESPACE",
  DropUserMappingStmt: "DROP USER MAPPING",
  FetchStmt: "FETCH",
  ImportForeignSchemaStmt: "IMPORT FOREIGN SCHEMA",
  IndexStmt: "CREATE INDEX",
  InsertStmt: "INSERT",
  ListenStmt: "LISTEN",
  LoadStmt: "LOAD",
  LockStmt: "LOCK TABLE",
  MergeStmt: "MERGE",
  NotifyStmt: "NOTIFY",
  PLAssignStmt: "assignment",
  RawStmt: "statement",
  ReassignOwnedStmt: "REASSIGN OWNED",
  RefreshMatViewStmt: "REFRESH MATERIALIZED VIEW",
  ReindexStmt: "REINDEX",
  RenameStmt: "ALTER RENAME",
  ReplicaIdentityStmt: "ALTER REPLICA IDENTITY",
  ReturnStmt: "RETURN",
  RuleStmt: "CREATE RULE",
  SecLabelStmt: "SECURITY LABEL",
  SelectStmt: "SELECT",
  SetOperationStmt: "SELECT",
  TruncateStmt: "TRUNCATE",
  UnlistenStmt: "UNLISTEN",
  UpdateStmt: "UPDATE",
  VariableShowStmt: "SHOW",
  ViewStmt: "CREATE VIEW",
};
