/** A source of numbers that a seed repeats: mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Where lexers and grammars disagree: quotes and their kin, comments, parameters, what joins and what ends literals.
const PIECES = [
  ...[
    "'",
    "''",
    "E'",
    "U&'",
    "B'",
    "X'",
    "N'",
    '"',
    '""',
    'U&"',
    "$$",
    "$a$",
    "$1",
    "$1a",
    "a$",
    "\\",
  ],
  ...["--", "-- '\n", "/*", "*/", "/* */", "/*/**/*/", "\n", "\r", "\t", "\f", "\v", " ", "\u00a0"],
  ...[
    ";",
    ";;",
    ",",
    "(",
    ")",
    "[",
    "]",
    ".",
    "..",
    "::",
    ":=",
    "=>",
    "=",
    "<>",
    "!=",
    "+",
    "-",
    "*",
    "@-",
  ],
  ...[
    "0",
    "1",
    "1.",
    ".5",
    "1e3",
    "1_000",
    "0x1F",
    "0b1",
    "1abc",
    "é",
    "😀",
    "UESCAPE '!'",
    "'a'\n'b'",
  ],
  ..."SELECT FROM WHERE DROP TABLE DELETE UPDATE INSERT INTO VALUES WITH AS DO CALL COPY TO STDIN".split(
    " ",
  ),
  ..."AND OR NOT NULL IN IS LIKE BETWEEN CASE WHEN THEN ELSE END EXISTS CAST SET DEFAULT".split(
    " ",
  ),
  ..."CREATE ALTER TRUNCATE EXPLAIN ANALYZE PREPARE EXECUTE MERGE USING ON MATCHED RETURNING".split(
    " ",
  ),
] as const;

/** Another text out of known ones: pieces put in, cut out, doubled, swapped, two texts spliced. */
export function mutate(texts: readonly string[], random: () => number): string {
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = (): string => texts[below(texts.length)] ?? "";
  let text = pick();
  // Between words a change more often leaves something that still parses.
  const place = (): number => {
    const at = below(text.length + 1);
    const blank = text.indexOf(" ", at);
    return blank === -1 || random() < 0.5 ? at : blank;
  };
  for (let rounds = 1 + below(3); rounds > 0; rounds--) {
    const at = place();
    const to = Math.min(text.length, at + 1 + below(12));
    switch (below(8)) {
      case 0:
      case 1:
        text = text.slice(0, at) + (PIECES[below(PIECES.length)] ?? "") + text.slice(at);
        break;
      case 2:
        text = `${text.slice(0, at)} ${PIECES[below(PIECES.length)] ?? ""} ${text.slice(at)}`;
        break;
      case 3:
        text = text.slice(0, at) + text.slice(to);
        break;
      case 4:
        text = text.slice(0, to) + text.slice(at);
        break;
      case 5: {
        const other = pick();
        text = text.slice(0, at) + other.slice(below(other.length + 1));
        break;
      }
      case 6:
        text = `${text}${random() < 0.5 ? ";" : "\n;"}${pick()}`;
        break;
      default: {
        const words = text.split(" ");
        const [a, b] = [below(words.length), below(words.length)];
        [words[a], words[b]] = [words[b] ?? "", words[a] ?? ""];
        text = words.join(" ");
      }
    }
  }
  return text.slice(0, 2000);
}
