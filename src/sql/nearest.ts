// What: the known word that is closest to a misspelt one.
// Why: "did you mean price?" saves the reader of an error a look into the documentation.
// Invariant: suggests only what is close enough to be a slip of the hand; the cost is bounded by the words' lengths.

/** Longer words are not compared: a slip of the hand is found in short ones, and the cost stays bounded. */
const WORD_LENGTH_MAX = 64;

/** The candidate with the smallest edit distance to `word`, ignoring case; null when none is close. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  if (word.length > WORD_LENGTH_MAX) return null;
  const wanted = word.toLowerCase();
  // One letter in three may be wrong, three at most; in words of one or two letters only the case.
  let bound = Math.min(3, Math.floor(wanted.length / 3));
  let best: string | null = null;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wanted.length) > bound) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance <= bound) {
      if (distance === 0) return candidate;
      best = candidate;
      bound = distance - 1;
    }
  }
  return best;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(left: string, right: string): number {
  let beforeLast = new Array<number>(right.length + 1).fill(0);
  let last = Array.from({ length: right.length + 1 }, (_, j) => j);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[right.length]!;
}
