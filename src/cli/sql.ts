import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Command } from "commander";
import pg from "pg";
import { CommandFailed } from "./command-failed.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { visibleText } from "../approvals/visible-text.ts";

/** `twokey sql URL [STATEMENT...]`: what psql does for a few statements, where there is no psql. */
export function sqlCommand(terminal: Terminal, stdin: Readable = process.stdin): Command {
  return new Command("sql")
    .description("Run statements over a connection, where there is no psql; 1 if one fails")
    .argument("<url>", "such as postgresql://alice:PASSWORD@127.0.0.1:6543/shop")
    .argument(
      "[statement...]",
      "sent one after the other, up to the first that fails (default: from standard input, where a line that ends with ; sends what was read)",
    )
    .action((url: string, statements: readonly string[]) => sql(url, statements, terminal, stdin));
}

async function sql(
  url: string,
  statements: readonly string[],
  terminal: Terminal,
  stdin: Readable,
): Promise<void> {
  const connection = await Connection.open(url, terminal);
  try {
    if (statements.length > 0) {
      for (const statement of statements) await connection.run(statement);
    } else if (terminal.isInteractive) await converse(connection, terminal, stdin);
    else for await (const statement of statementsIn(stdin)) await connection.run(statement);
  } finally {
    await connection.close();
  }
}

/** A person goes on after an error; whoever sends a file doesn't want its second half without its first. */
async function converse(
  connection: Connection,
  { note }: Terminal,
  stdin: Readable,
): Promise<void> {
  note("a line that ends with ; sends what was typed; Ctrl-D leaves");
  for await (const statement of statementsIn(stdin, process.stderr)) {
    try {
      await connection.run(statement);
    } catch (error) {
      if (!(error instanceof CommandFailed) || error.exitStatus !== 1) throw error;
      note(error.message);
    }
  }
}

async function* statementsIn(input: Readable, echo?: NodeJS.WriteStream): AsyncGenerator<string> {
  const reader = createInterface(
    echo === undefined ? { input } : { input, output: echo, prompt: "twokey=> " },
  );
  let text = "";
  if (echo !== undefined) reader.prompt();
  for await (const line of reader) {
    text += `${line}\n`;
    if (line.trimEnd().endsWith(";")) {
      yield text.trimEnd();
      text = "";
    }
    if (echo !== undefined) reader.prompt();
  }
  if (text.trim() !== "") yield text.trimEnd();
}

/** One connection, whose answers are printed as the server writes them: no value is turned into one of JavaScript's. */
class Connection {
  readonly #client: pg.Client;
  readonly #terminal: Terminal;
  #tags: string[] = [];

  private constructor(client: pg.Client, terminal: Terminal) {
    this.#client = client;
    this.#terminal = terminal;
    // pg keeps but the first word of DROP DATABASE.
    client.connection.on("commandComplete", ({ text }: { text: string }) => {
      this.#tags.push(text);
    });
    client.on("notice", ({ severity = "NOTICE", message = "" }) => {
      terminal.note(visibleText(`${severity}:  ${message}`));
    });
    // The statement that was running tells of it; an idle connection that ends shows at the next.
    client.on("error", () => undefined);
  }

  static async open(url: string, terminal: Terminal): Promise<Connection> {
    const client = newClient(url);
    const connection = new Connection(client, terminal);
    try {
      await client.connect();
    } catch (cause) {
      throw new CommandFailed(2, describe(cause), { cause });
    }
    return connection;
  }

  /** @throws CommandFailed: 1 if the server says no, 2 if there is none any more */
  async run(text: string): Promise<void> {
    this.#tags = [];
    try {
      const types = { getTypeParser: () => (value: string) => value };
      const answer: unknown = await this.#client.query({ text, rowMode: "array", types });
      const results = (Array.isArray(answer) ? answer : [answer]) as pg.QueryArrayResult[];
      for (const [index, result] of results.entries()) this.#print(result, this.#tags[index]);
    } catch (cause) {
      const isAnswer = cause instanceof pg.DatabaseError && cause.severity !== "FATAL";
      throw new CommandFailed(isAnswer ? 1 : 2, describe(cause), { cause });
    }
  }

  async close(): Promise<void> {
    await this.#client.end();
  }

  #print({ fields, rows }: pg.QueryArrayResult, tag: string | undefined): void {
    const { print } = this.#terminal;
    if (fields.length === 0) {
      if (tag !== undefined) print(visibleText(tag));
      return;
    }
    const names = fields.map(({ name }) => name);
    const cells = (rows as (string | null)[][]).map((row) => row.map((value) => value ?? ""));
    for (const line of table(names, cells)) print(line);
    print(`(${rows.length} ${rows.length === 1 ? "row" : "rows"})`);
  }
}

function newClient(url: string): pg.Client {
  try {
    if (!/^postgres(ql)?:\/\//.test(url)) throw new TypeError("it has another scheme");
    return new pg.Client({ connectionString: url, application_name: "twokey sql" });
  } catch (cause) {
    throw new CommandFailed(2, "that is not the URL of a PostgreSQL database", {
      hint: "it looks like postgresql://alice:PASSWORD@127.0.0.1:6543/shop",
      cause,
    });
  }
}

function describe(error: unknown): string {
  if (error instanceof pg.DatabaseError) {
    const { code = "XX000", message, detail, hint } = error;
    const lines = [`${code}: ${message}`];
    if (detail !== undefined) lines.push(`DETAIL:  ${detail}`);
    if (hint !== undefined) lines.push(`HINT:  ${hint}`);
    return visibleText(lines.join("\n"));
  }
  return error instanceof Error ? error.message : String(error);
}
