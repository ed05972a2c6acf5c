import { dirname, resolve } from "node:path";
import { z } from "zod";
import type { Config, PrincipalConfig } from "./config.ts";
import { describeIssue, toMistakes } from "./issues.ts";
import { ConfigError, describeMistakes, type Mistake } from "./mistakes.ts";
import { principalSchema } from "./principal-schema.ts";
import { toPrincipals } from "./principals.ts";
import { checkReferences, namesIn, select } from "./references.ts";
import { name } from "./schema-parts.ts";
import { checkSurroundings } from "./surroundings.ts";
import { readYamlFile, type YamlFile } from "./yaml-file.ts";

/** The people and workloads of a configuration, in a file of their own that `twokey user` edits. */
const peopleFileSchema = z.strictObject({
  people: z.record(name, principalSchema).default({}),
  workloads: z.record(name, principalSchema).default({}),
});

export type PeopleText = z.output<typeof peopleFileSchema>;

/** What a people file has to fit into. */
export interface PeopleFrame {
  readonly roles: readonly string[];
  /** Names of those whose tokens count. */
  readonly issuers: readonly string[];
  readonly environments: readonly string[];
  /** The names that the configuration itself has given away. */
  readonly taken: readonly string[];
  /** `skip` leaves alone the files that it names. */
  readonly surroundings: "check" | "skip";
}

/**
 * Its paths come out absolute: they are relative to the file itself.
 *
 * @throws ConfigError with every mistake
 */
export function parsePeople({ source, raw }: YamlFile, frame: PeopleFrame): PeopleText {
  const directory = dirname(source.file);
  // An empty file says nothing yet, which is no mistake.
  const parsed = peopleFileSchema.safeParse(raw ?? {}, { error: describeIssue });
  const mistakes: Mistake[] = [
    ...(parsed.success ? [] : toMistakes(parsed.error.issues)),
    ...checkReferences({
      ...asObject(raw),
      roles: [...new Set(frame.roles)],
      tokens: asSection(frame.issuers),
      environments: asSection(frame.environments),
    }),
    ...takenNames(raw, frame.taken),
    ...(frame.surroundings === "check" ? checkSurroundings(raw, { directory, env: {} }) : []),
  ];
  if (!parsed.success || mistakes.length > 0) {
    throw new ConfigError(describeMistakes(mistakes, source));
  }
  const { people, workloads } = parsed.data;
  return { people: withPaths(people, directory), workloads: withPaths(workloads, directory) };
}

/**
 * The people and workloads that the file of a running configuration has by now.
 *
 * @throws ConfigError with every mistake
 */
export function readPeople({
  roles,
  tokens,
  environments,
  principals,
  peopleFile,
}: Pick<Config, "roles" | "tokens" | "environments" | "principals" | "peopleFile">): ReadonlyMap<
  string,
  PrincipalConfig
> {
  if (peopleFile === undefined) return new Map();
  const taken = [...principals.keys()].filter((key) => !peopleFile.names.has(key));
  const issuers = tokens.map(({ name: its }) => its);
  const frame: PeopleFrame = { roles, issuers, environments, taken, surroundings: "check" };
  const text = parsePeople(readYamlFile(peopleFile.path), frame);
  return toPrincipals(text, { directory: dirname(peopleFile.path), readsFiles: true });
}

function takenNames(raw: unknown, taken: readonly string[]): Mistake[] {
  return ["people.*", "workloads.*"]
    .flatMap((pattern) => select(raw, pattern))
    .filter(({ path }) => taken.includes(String(path[1])))
    .map(({ path }) => ({
      path,
      of: "key",
      message: "is in the configuration itself already; names are unique",
    }));
}

function asSection(names: readonly string[]): Readonly<Record<string, object>> {
  return Object.fromEntries(names.map((its) => [its, {}]));
}

function withPaths(people: PeopleText["people"], directory: string): PeopleText["people"] {
  return Object.fromEntries(
    Object.entries(people).map(([key, { verifier_file, ...rest }]) => [
      key,
      verifier_file === undefined
        ? rest
        : { ...rest, verifier_file: resolve(directory, verifier_file) },
    ]),
  );
}

function asObject(raw: unknown): object {
  return typeof raw === "object" && raw !== null ? raw : {};
}

/** What `twokey user` needs of a configuration, the rest of which may still be unfinished. */
export interface PeopleSettings {
  readonly peopleFile: string | undefined;
  readonly allowedSignersFile: string | undefined;
  readonly roles: readonly string[];
  readonly issuers: readonly string[];
  readonly environments: readonly string[];
  /** Those whom the configuration itself names; nobody edits these but by hand. */
  readonly inline: PeopleText;
}

/** @throws ConfigError */
export function readPeopleSettings(configFile: string): PeopleSettings {
  const { source, raw } = readYamlFile(configFile);
  const absolute = (pattern: string): string | undefined => {
    const [found] = select(raw, pattern);
    if (typeof found?.value !== "string") return undefined;
    return resolve(dirname(configFile), found.value);
  };
  const roles = namesIn(raw, "roles");
  const issuers = namesIn(raw, "tokens");
  const environments = namesIn(raw, "environments");
  const { people, workloads } = asObject(raw) as { people?: unknown; workloads?: unknown };
  const inline = {
    ...(people !== undefined && { people }),
    ...(workloads !== undefined && { workloads }),
  };
  return {
    peopleFile: absolute("people_file"),
    allowedSignersFile: absolute("approvals.allowed_signers"),
    roles,
    issuers,
    environments,
    inline: parsePeople(
      { source, raw: inline },
      { roles, issuers, environments, taken: [], surroundings: "skip" },
    ),
  };
}
