import { format, resolveConfig } from "prettier";
import { z } from "zod";
import { EFFECTS } from "../../src/sql/classification.ts";
import { configSchema } from "../../src/config/schema.ts";

/** What this page needs of JSON Schema (2020-12). */
interface Schema {
  readonly title?: string;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

const INTRODUCTION = `# Configuration

One YAML 1.2 file. This page is made from the schema that checks it (\`src/config/schema.ts\`; \`npm run golden\`), so it says what
is true of this version. \`twokey check --config FILE\` lists every mistake of a file at once, with line and column;
\`twokey check --schema\` prints the schema as JSON Schema, for editors. Complete files to start from are
\`config/minimal.yaml\` and \`config/twokey.example.yaml\`; how to write rules is told in [Write a policy](../how-to/write-a-policy.md).

- Paths are relative to the directory of the file.
- Durations are a whole number and \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`; sizes one and \`B\`, \`KiB\`, \`MiB\` or \`GiB\`.
- Names have at most 63 letters, digits and \`_ . @ + -\`, and begin with a letter, a digit or \`_\`.
- An effect is one of ${EFFECTS.map((effect) => `\`${effect}\``).join(", ")}.
- A secret is never in the file. \`{ env: NAME }\` or \`{ file: PATH }\` says where it is; it is read when it is needed, so that a new one counts from then on.
- What the file names must be there: a rule about an environment that does not exist, or one that can never be reached, is a mistake.
- Databases whose upstreams have a host and port in common are on the same server, and a statement that reaches beyond its
  database is judged by the rules of all of them. Name a server the same everywhere: an alias in DNS looks like another one.
`;

/** The page `docs/reference/configuration.md`. */
export async function configurationReference(): Promise<string> {
  const schema = z.toJSONSchema(configSchema, { io: "input" }) as Schema;
  const described: Described = new Map();
  const parts = Object.entries(schema.properties ?? {}).map(([key, section]) =>
    describeSection(key, section, {
      isRequired: schema.required?.includes(key) === true,
      depth: 2,
      described,
    }),
  );
  const page = `${INTRODUCTION}\n${parts.join("\n")}`;
  return format(page, { ...(await resolveConfig("docs/page.md")), parser: "markdown" });
}

interface Where {
  readonly isRequired: boolean;
  readonly depth: number;
  readonly described: Described;
}

/** Where the same keys were described already. */
type Described = Map<string, string>;

function describeSection(path: string, schema: Schema, where: Where): string {
  const { isRequired, depth, described } = where;
  const [shownPath, holder] = memberOf(path, schema);
  const heading = `${"#".repeat(depth)} \`${shownPath}\`\n\n`;
  const description = [schema.description, isRequired ? "**Required.**" : ""]
    .filter(Boolean)
    .join(" ");
  const inner = Object.entries(propertiesOf(holder));
  if (inner.length === 0) {
    const body = [description, valueOf(holder) === "" ? "" : `Value: ${valueOf(schema)}.`];
    return `${heading}${body.filter(Boolean).join(" ")}\n`;
  }
  const shape = JSON.stringify(inner);
  const elsewhere = described.get(shape);
  if (elsewhere !== undefined) {
    return `${heading}${[description, `Keys as in \`${elsewhere}\`.`].filter(Boolean).join(" ")}\n`;
  }
  described.set(shape, shownPath);
  // The keys of `unless` are those of the rule itself.
  const isNested = ([key, member]: [string, Schema]): boolean =>
    key !== "unless" &&
    Object.keys(propertiesOf(memberOf(key, member)[1])).length > 0 &&
    !isSecret(member);
  const rows = inner.map(([key, member]) => row(key, member, isRequiredIn(holder, key))).join("\n");
  const nested = inner.filter(isNested).map(([key, member]) =>
    describeSection(`${shownPath}.${key}`, member, {
      ...where,
      isRequired: false,
      depth: Math.min(depth + 1, 4),
    }),
  );
  const table = `| key | value | default | meaning |\n| --- | --- | --- | --- |\n${rows}\n`;
  return [`${heading}${description === "" ? "" : `${description}\n\n`}${table}`, ...nested].join(
    "\n",
  );
}

/** What holds the keys: the thing itself, or the members of a list or of a table of names. */
function memberOf(path: string, schema: Schema): [string, Schema] {
  if (schema.type === "array" && Object.keys(propertiesOf(schema.items ?? {})).length > 0) {
    return [`${path}[]`, schema.items ?? {}];
  }
  const named = schema.additionalProperties;
  if (named !== undefined && named !== false && Object.keys(propertiesOf(named)).length > 0) {
    return [`${path}.NAME`, named];
  }
  return [path, schema];
}

/** Of several variants, the keys of all. */
function propertiesOf({ properties, oneOf }: Schema): Readonly<Record<string, Schema>> {
  if (oneOf === undefined) return properties ?? {};
  const all: Record<string, Schema> = {};
  for (const variant of oneOf) {
    for (const [key, { const: only, ...member }] of Object.entries(variant.properties ?? {})) {
      all[key] =
        only === undefined ? member : { ...member, enum: [...(all[key]?.enum ?? []), only] };
    }
  }
  return all;
}

function isRequiredIn({ required, oneOf }: Schema, key: string): boolean {
  return oneOf?.every((variant) => isRequiredIn(variant, key)) ?? required?.includes(key) === true;
}

function row(key: string, member: Schema, isRequired: boolean): string {
  const shownDefault =
    member.default === undefined || isEmptyObject(member.default)
      ? isRequired
        ? "**required**"
        : ""
      : `\`${JSON.stringify(member.default).replaceAll('"', "")}\``;
  return `| \`${key}\` | ${valueOf(member)} | ${shownDefault} | ${member.description ?? ""} |`;
}

function valueOf(schema: Schema): string {
  if (isSecret(schema)) return "`{ env: NAME }` or `{ file: PATH }`";
  if (schema.title !== undefined) return schema.title;
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(valueOf).join(" or ");
  switch (schema.type) {
    case "array":
      return Object.keys(propertiesOf(schema.items ?? {})).length > 0
        ? "list, see below"
        : `list of ${valueOf(schema.items ?? {})}`;
    case "object":
      return Object.keys(propertiesOf(memberOf("", schema)[1])).length > 0
        ? "see below"
        : `names, each with ${valueOf(schema.additionalProperties === false ? {} : (schema.additionalProperties ?? {}))}`;
    case "integer":
      return schema.minimum === undefined
        ? "number"
        : `${schema.minimum} to ${schema.maximum ?? ""}`;
    case "string":
      return "text";
    case "boolean":
      return "`true`, `false`";
    default:
      return "";
  }
}

function isSecret({ properties }: Schema): boolean {
  return properties !== undefined && Object.keys(properties).join() === "env,file";
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
