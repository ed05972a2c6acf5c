import { dirname, resolve } from "node:path";
import { checkWhole } from "./checks.ts";
import type { Config } from "./config.ts";
import { describeIssue, toMistakes } from "./issues.ts";
import { ConfigError, describeMistakes, type Mistake } from "./mistakes.ts";
import { parsePeople, type PeopleText } from "./people-file.ts";
import { checkReferences, namesIn, select } from "./references.ts";
import { configSchema } from "./schema.ts";
import { checkSurroundings } from "./surroundings.ts";
import { toConfig } from "./to-config.ts";
import { readYamlFile } from "./yaml-file.ts";

export interface LoadOptions {
  readonly env?: NodeJS.ProcessEnv;
  /**
   * `skip` leaves alone the files and variables that the configuration names, so that it can be checked where they
   * are not: `verifier_file`s then give no verifier.
   */
  readonly surroundings?: "check" | "skip";
}

/** @throws ConfigError with every mistake of the file, or when it can't be read */
export function loadConfig(
  path: string,
  { env = process.env, surroundings = "check" }: LoadOptions = {},
): Config {
  const file = resolve(path);
  const { source, raw } = readYamlFile(path);
  const people = readPeopleOf(raw, { directory: dirname(file), surroundings });
  const parsed = configSchema.safeParse(raw, { error: describeIssue });
  const mistakes: Mistake[] = [
    ...(parsed.success ? [] : toMistakes(parsed.error.issues)),
    ...checkReferences(withPeople(raw, people)),
    ...(surroundings === "check" ? checkSurroundings(raw, { directory: dirname(file), env }) : []),
  ];
  if (!parsed.success || mistakes.length > 0 || people.mistakes.length > 0) {
    throw new ConfigError([...describeMistakes(mistakes, source), ...people.mistakes]);
  }
  const text = withPeople(parsed.data, people);
  const config = toConfig(text, {
    file,
    readsFiles: surroundings === "check",
    fromPeopleFile: [...Object.keys(people.text.people), ...Object.keys(people.text.workloads)],
  });
  const contradictions = checkWhole(text, config);
  if (contradictions.length > 0) throw new ConfigError(describeMistakes(contradictions, source));
  return config;
}

interface PeopleOf {
  readonly text: PeopleText;
  readonly mistakes: readonly string[];
}

const NO_PEOPLE: PeopleText = { people: {}, workloads: {} };

/** The people file is part of the configuration: it is read even where other files are left alone. */
function readPeopleOf(
  raw: unknown,
  { directory, surroundings }: { directory: string; surroundings: "check" | "skip" },
): PeopleOf {
  const [named] = select(raw, "people_file");
  if (typeof named?.value !== "string") return { text: NO_PEOPLE, mistakes: [] };
  try {
    const text = parsePeople(readYamlFile(resolve(directory, named.value)), {
      roles: namesIn(raw, "roles"),
      issuers: namesIn(raw, "tokens"),
      environments: namesIn(raw, "environments"),
      taken: [...namesIn(raw, "people"), ...namesIn(raw, "workloads")],
      surroundings,
    });
    return { text, mistakes: [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { text: NO_PEOPLE, mistakes: error.mistakes };
  }
}

/** With those of the people file among the others. */
function withPeople<T>(config: T, { text }: PeopleOf): T {
  if (typeof config !== "object" || config === null) return config;
  const { people, workloads } = config as { people?: object; workloads?: object };
  return {
    ...config,
    people: { ...people, ...text.people },
    workloads: { ...workloads, ...text.workloads },
  };
}
