import { parseDocument, type Document } from "yaml";
import { parsePeople, type PeopleFrame, type PeopleText } from "./people-file.ts";
import { parseYaml } from "./yaml-file.ts";

export type Section = keyof PeopleText;

/** A people file as the text that somebody wrote: what is not edited keeps its place, and its comments. */
export class PeopleDocument {
  readonly #file: string;
  readonly #frame: PeopleFrame;
  readonly #document: Document;
  #people: PeopleText;

  /** @throws ConfigError with every mistake that stands there already */
  constructor(
    text: string,
    { file, frame }: { readonly file: string; readonly frame: PeopleFrame },
  ) {
    this.#file = file;
    this.#frame = frame;
    this.#people = parsePeople(parseYaml(file, text), frame);
    this.#document = parseDocument(text);
  }

  get people(): PeopleText {
    return this.#people;
  }

  sectionOf(name: string): Section | undefined {
    return (["people", "workloads"] as const).find((section) =>
      Object.hasOwn(this.#people[section], name),
    );
  }

  /** @throws ConfigError where the outcome would have mistakes */
  add(section: Section, name: string, entry: Readonly<Record<string, unknown>>): void {
    this.#document.setIn([section, name], this.#document.createNode(entry));
    this.#check();
  }

  /**
   * @param value - `undefined` takes the key away
   * @throws ConfigError where the outcome would have mistakes
   */
  set(name: string, key: string, value: unknown): void {
    const path = [this.sectionOf(name), name, key];
    if (value === undefined) this.#document.deleteIn(path);
    else this.#document.setIn(path, value);
    this.#check();
  }

  toString(): string {
    return this.#document.toString({ lineWidth: 0 });
  }

  /** What would be written is what is judged, not what we believe to have changed. */
  #check(): void {
    this.#people = parsePeople(parseYaml(this.#file, this.toString()), this.#frame);
  }
}
