/**
 * The word that was probably meant; undefined when none is near.
 *
 * @param most how many letters may be wrong; two, or a third of them
 */
export function nearest(
  word: string,
  words: Iterable<string>,
  most = Math.max(2, Math.floor(word.length / 3)),
): string | undefined {
  let best: string | undefined;
  let least = most + 1;
  for (const other of words) {
    const distance = editDistance(word.toLowerCase(), other.toLowerCase());
    if (distance < least) [best, least] = [other, distance];
  }
  return best;
}

/** `; did you mean X?`, or nothing. */
export function didYouMean(word: string, words: Iterable<string>, most?: number): string {
  const meant = nearest(word, words, most);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

/** How many letters are to be put in, left out or exchanged (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
