/** Distinct grams: three characters of seven bits each. */
export const GRAMS = 1 << 21;

/** A text shorter than this has none. */
export const GRAM_CHARACTERS = 3;

/**
 * The trigrams of a text, in lower case, for an index of what has a given part. Characters outside ASCII are folded into
 * seven bits, so two texts may share a gram by chance: whatever is found by grams has to be looked at.
 *
 * @param take - called for each, repeated ones too
 */
export function eachGram(text: string, take: (gram: number) => void): void {
  const lower = text.toLowerCase();
  let gram = 0;
  for (let i = 0; i < lower.length; i += 1) {
    const unit = lower.charCodeAt(i);
    gram = ((gram << 7) | (unit < 128 ? unit : (unit ^ (unit >> 7)) & 127)) & (GRAMS - 1);
    if (i >= GRAM_CHARACTERS - 1) take(gram);
  }
}
