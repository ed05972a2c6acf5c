import { integer, pgTable, text } from "drizzle-orm/pg-core";

// Somebody's branch, which knows one table: all others would go, and two of its columns.
export const items = pgTable("items", { id: integer().primaryKey(), name: text().notNull() });
