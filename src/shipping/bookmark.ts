import fs from "node:fs";

/** How far a receiver has got. Not synced to disk: what it may lose is sent again. */
export interface Bookmark {
  readonly chain: string;
  readonly seq: number;
}

/** @returns `undefined` when there is none, or it can't be read: then everything is sent again */
export function readBookmark(filePath: string): Bookmark | undefined {
  if (!fs.existsSync(filePath)) return undefined;
  try {
    const { chain, seq } = JSON.parse(fs.readFileSync(filePath, "utf8")) as Partial<Bookmark>;
    if (typeof chain === "string" && Number.isSafeInteger(seq)) return { chain, seq: Number(seq) };
  } catch {
    // said above
  }
  return undefined;
}

/** @throws Error as `fs` does */
export function writeBookmark(filePath: string, bookmark: Bookmark): void {
  const unfinished = `${filePath}.part`;
  fs.writeFileSync(unfinished, JSON.stringify(bookmark), { mode: 0o600 });
  fs.renameSync(unfinished, filePath);
}
