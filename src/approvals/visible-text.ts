/**
 * Text from strangers, made fit to be read by somebody who is about to sign it: whatever a terminal would obey or hide
 * (escape sequences, carriage returns, bidirectional overrides, invisible characters) shows as `\u{202e}`.
 * Line breaks and tabs stay; a backslash stays too, so this is for reading, never for parsing back.
 */
export function visibleText(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(OBEYED_OR_HIDDEN, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
    return `\\u{${hex}}`;
  });
}

/** Controls, formats, surrogates and the unassigned; line and paragraph separators; fillers that print as nothing. */
const OBEYED_OR_HIDDEN =
  /[^\n\t\P{C}]|\p{Zl}|\p{Zp}|\p{Variation_Selector}|\u034f|\u17b4|\u17b5|[\u115f\u1160\u3164\uffa0]/gu;
