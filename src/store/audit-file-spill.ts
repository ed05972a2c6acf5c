import fs from "node:fs";
import path from "node:path";
import type { StatementText } from "../audit/record.ts";
import { sha256 } from "../base/digest.ts";
import { spilledPath } from "./audit-file-names.ts";
import { writeDurably } from "./durable-files.ts";

/**
 * The members that give a statement's text, which is put into a file of its own, on disk, when it is too long.
 *
 * @throws Error as `fs` does
 */
export function textOrSpilled(
  sql: string,
  { directory, aboveBytes }: { readonly directory: string; readonly aboveBytes: number },
): StatementText {
  const bytes = Buffer.from(sql);
  const digest = sha256(bytes);
  if (bytes.length <= aboveBytes) return { sql, sql_sha256: digest };
  const filePath = spilledPath(directory, digest);
  if (!fs.existsSync(filePath)) {
    fs.mkdirSync(path.dirname(filePath), { recursive: true, mode: 0o700 });
    writeDurably(filePath, bytes);
  }
  return { sql_spilled: true, sql_bytes: bytes.length, sql_sha256: digest };
}
