// What: the value that would stand at one place if an array were sorted.
// Why: a median needs one place, or two that adjoin; sorting all values for it costs far more, and cannot be stopped halfway.
// Invariant: afterwards no value before the place is larger, none behind it smaller; the values are the same ones.

/** Below this many values sorting them is as quick. */
const FEW = 64;
/** A pivot that halves badly this often gives up on its luck. */
const ROUNDS_MAX = 200;
/** Values between two checks. */
const CHECK_VALUES = 2 ** 20 - 1;

type Values = Float64Array | BigInt64Array;

/** Rearranges `values`, which hold no NaN, and returns what then stands at `index`. `check` throws to stop it. */
export function select<V extends Values>(values: V, index: number, check: () => void): V[number] {
  let first = 0;
  let last = values.length - 1;
  for (let round = 0; last - first >= FEW && round < ROUNDS_MAX; round++) {
    check();
    const split = partition(values, first, last, check);
    if (index <= split) last = split;
    else first = split + 1;
  }
  values.subarray(first, last + 1).sort();
  return values[index]!;
}

/** Hoare's: afterwards all in [first, result] are at most all in (result, last], and neither side is empty. */
function partition(values: Values, first: number, last: number, check: () => void): number {
  const pivot = middleOf(values[first]!, values[(first + last) >> 1]!, values[last]!);
  let low = first - 1;
  let high = last + 1;
  for (let swaps = 1; ; swaps++) {
    if ((swaps & CHECK_VALUES) === 0) check();
    do low++;
    while (values[low]! < pivot);
    do high--;
    while (values[high]! > pivot);
    if (low >= high) return high;
    const value = values[low]!;
    values[low] = values[high]!;
    values[high] = value;
  }
}

function middleOf<T extends number | bigint>(a: T, b: T, c: T): T {
  if (a < b) return b < c ? b : a < c ? c : a;
  return a < c ? a : b < c ? c : b;
}
