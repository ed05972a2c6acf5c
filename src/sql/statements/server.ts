import { addEffect } from "../judgement.ts";
import { refuseUnsafeSetting } from "../settings.ts";
import { judgeNamedFunctions } from "../walk.ts";
import { alters, bare, clusterWide, creates } from "./named.ts";
import type { StatementTable } from "./statement-table.ts";

/** Databases, the server itself, foreign servers and replication. */
export const SERVER = {
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
} satisfies Partial<StatementTable>;
