/**
 * Whether all of `text` matches `pattern`: `*` stands for any run of characters, `?` for one, everything else for
 * itself. Case counts, as in SQL names once folded. Worst case is the product of the lengths, never exponential.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const wanted = Array.from(pattern); // by character, so that ? is one emoji and not half of it
  const given = Array.from(text);
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < given.length) {
    if (wanted[p] === "*") {
      star = p++;
      resume = t;
    } else if (p < wanted.length && (wanted[p] === "?" || wanted[p] === given[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1; // let the last star take one character more
      t = ++resume;
    } else {
      return false;
    }
  }
  return wanted.slice(p).every((character) => character === "*");
}
