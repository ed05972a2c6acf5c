/**
 * Does `text` match the comma-separated patterns, as PATTERNS in ssh_config(5) says: `*` and `?` are wild, a
 * pattern with `!` in front that matches refuses whatever the others say, and only negations never match.
 */
export function matchesPatternList(text: string, patterns: string): boolean {
  let isMatch = false;
  for (const pattern of patterns.split(",")) {
    const isNegated = pattern.startsWith("!");
    if (!matchesPattern(text, isNegated ? pattern.slice(1) : pattern)) continue;
    if (isNegated) return false;
    isMatch = true;
  }
  return isMatch;
}

/** Linear in the text for each star: it goes back to the last one only. */
function matchesPattern(text: string, pattern: string): boolean {
  let at = 0;
  let star = -1;
  let starAt = 0;
  let index = 0;
  while (index < text.length) {
    if (pattern[at] === "*") {
      star = at++;
      starAt = index;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === text[index])) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++starAt;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(at));
}
