/** A text as a header value: visible ASCII, the rest percent-encoded. */
export function headerText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/gu, (character) => {
    const wellFormed = character.isWellFormed() ? character : '\ufffd';
    return encodeURIComponent(wellFormed);
  });
}
