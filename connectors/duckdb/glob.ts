// What: patterns of paths: `*`, `?` and `[…]` within a name, `**` for folders at any depth.
// Why: the patterns are those of DuckDB, and they must mean the same on a disk and in a bucket.
// Invariant: matching takes at most pattern × text steps, whatever the pattern; `*` never crosses a slash.

/** Index of the first wildcard; the length when there is none. */
export function firstGlob(pattern: string): number {
  const at = pattern.search(/[*?[]/);
  return at < 0 ? pattern.length : at;
}

export const isGlob = (pattern: string): boolean => firstGlob(pattern) < pattern.length;

/** Names of a pattern, from the outermost; `**` several times in a row is once, and at the end means every file below. */
export function namesOf(pattern: string): string[] {
  const names = pattern.split('/').filter((name, i, all) => name !== '**' || all[i - 1] !== '**');
  return names.at(-1) === '**' ? [...names, '*'] : names;
}

/** Whether a whole path or key is named by the pattern. */
export function matchesPath(pattern: string, path: string): boolean {
  return matches(namesOf(pattern), path.split('/'), (name) => name === '**', matchesName);
}

/** Whether one name, without slashes, is named by a name of a pattern. */
export function matchesName(pattern: string, name: string): boolean {
  return matches(
    tokensOf(pattern),
    [...name],
    (token) => token === '*',
    (token, character) => typeof token === 'string' || token.accepts(character),
  );
}

type Token = '*' | { readonly accepts: (character: string) => boolean };

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!;
    if (character === '*') tokens.push('*');
    else if (character === '?') tokens.push({ accepts: () => true });
    else {
      const end = character === '[' ? characters.indexOf(']', i + 2) : -1;
      if (end < 0) tokens.push({ accepts: (one) => one === character });
      else {
        tokens.push({ accepts: classOf(characters.slice(i + 1, end)) });
        i = end;
      }
    }
  }
  return tokens;
}

/** What stands between brackets: characters and ranges; a leading `!` or `^` means all others. */
function classOf(inside: readonly string[]): (character: string) => boolean {
  const isNegated = inside.length > 1 && (inside[0] === '!' || inside[0] === '^');
  const items = isNegated ? inside.slice(1) : inside;
  const ranges: (readonly [string, string])[] = [];
  for (let i = 0; i < items.length; i++) {
    const isRange = items[i + 1] === '-' && i + 2 < items.length;
    ranges.push([items[i]!, isRange ? items[i + 2]! : items[i]!]);
    if (isRange) i += 2;
  }
  return (character) => ranges.some(([from, to]) => character >= from && character <= to) !== isNegated;
}

/** A star takes as few items as it can, and one more each time the rest does not match: only the last star is ever tried again. */
function matches<P, T>(
  pattern: readonly P[],
  items: readonly T[],
  isStar: (one: P) => boolean,
  accepts: (one: P, item: T) => boolean,
): boolean {
  let p = 0;
  let i = 0;
  let star = -1;
  let taken = 0;
  while (i < items.length) {
    if (p < pattern.length && isStar(pattern[p]!)) {
      star = p++;
      taken = i;
    } else if (p < pattern.length && accepts(pattern[p]!, items[i]!)) {
      p++;
      i++;
    } else if (star >= 0) {
      p = star + 1;
      i = ++taken;
    } else return false;
  }
  while (p < pattern.length && isStar(pattern[p]!)) p++;
  return p === pattern.length;
}
