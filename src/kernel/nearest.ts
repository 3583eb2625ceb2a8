// What: the known name closest to a misspelt one.
// Why: "unknown column pirce" is answered best by "did you mean price?".
// Invariant: a suggestion is at most a third of the letters (rounded up) away, so it is never a random other name.

/** The closest of `known` to `name` (letter case, `-` and `_` do not count), or null when none is close. */
export function nearest(name: string, known: Iterable<string>): string | null {
  const wanted = plain(name);
  let best: string | null = null;
  let bestDistance = Math.ceil(wanted.length / 3) + 1;
  for (const candidate of known) {
    const distance = editDistance(wanted, plain(candidate), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `; did you mean X?`, or '' when nothing is close. */
export function suggestion(name: string, known: Iterable<string>, prefix = ''): string {
  const close = nearest(name, known);
  return close === null ? '' : `; did you mean ${prefix}${close}?`;
}

const plain = (name: string): string => name.toLowerCase().replaceAll('_', '-').slice(0, 100);

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment); `limit` when it is at least that. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(row[j - 1]! + 1, previous[j]! + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforePrevious[j - 2]! + 1);
      row.push(cost);
    }
    if (Math.min(...row) >= limit) return limit;
    beforePrevious = previous;
    previous = row;
  }
  return Math.min(previous[b.length]!, limit);
}
