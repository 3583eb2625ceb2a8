// What: the loops over doubles that most queries spend their time in, four rows at a time.
// Why: V8 looks an array's address and length up anew in each round that stores a value: fewer rounds take half the time.
// Invariant: each does for every row what its last loop does.

/** out[i] = a[i] + sign × b[i]; whether all are within ± most. A NaN is. */
export function addInto(
  out: Float64Array,
  a: Float64Array,
  b: Float64Array,
  sign: 1 | -1,
  rows: number,
  most: number,
): boolean {
  let outside = false;
  let i = 0;
  for (const stop = rows - 3; i < stop; i += 4) {
    const v = a[i]! + sign * b[i]!;
    const w = a[i + 1]! + sign * b[i + 1]!;
    const x = a[i + 2]! + sign * b[i + 2]!;
    const y = a[i + 3]! + sign * b[i + 3]!;
    if (v > most || v < -most || w > most || w < -most || x > most || x < -most || y > most || y < -most)
      outside = true;
    out[i] = v;
    out[i + 1] = w;
    out[i + 2] = x;
    out[i + 3] = y;
  }
  for (; i < rows; i++) {
    const v = a[i]! + sign * b[i]!;
    if (v > most || v < -most) outside = true;
    out[i] = v;
  }
  return !outside;
}

/** out[i] = values[chosen[i]]. */
export function gatherInto(out: Float64Array, values: Float64Array, chosen: Int32Array, rows: number): void {
  let i = 0;
  for (const stop = rows - 3; i < stop; i += 4) {
    out[i] = values[chosen[i]!]!;
    out[i + 1] = values[chosen[i + 1]!]!;
    out[i + 2] = values[chosen[i + 2]!]!;
    out[i + 3] = values[chosen[i + 3]!]!;
  }
  for (; i < rows; i++) out[i] = values[chosen[i]!]!;
}

/** out[at…] = (values[from…to] − base) × scale; whether all are within ± most, which no NaN is. */
export function differencesInto(
  out: Float64Array,
  at: number,
  values: Float64Array,
  from: number,
  to: number,
  base: number,
  scale: number,
  most: number,
): boolean {
  let outside = false;
  let row = from;
  let i = at;
  for (const stop = to - 3; row < stop; row += 4, i += 4) {
    const v = (values[row]! - base) * scale;
    const w = (values[row + 1]! - base) * scale;
    const x = (values[row + 2]! - base) * scale;
    const y = (values[row + 3]! - base) * scale;
    if (!(v < most && v > -most && w < most && w > -most && x < most && x > -most && y < most && y > -most))
      outside = true;
    out[i] = v;
    out[i + 1] = w;
    out[i + 2] = x;
    out[i + 3] = y;
  }
  for (; row < to; row++, i++) {
    const v = (values[row]! - base) * scale;
    if (!(v < most && v > -most)) outside = true;
    out[i] = v;
  }
  return !outside;
}

/** out[at…] = the int64s [from, to) of these halves; false, with `out` undefined, when one is below 0 or not below 2^31. */
export function smallInto(
  out: Float64Array,
  at: number,
  halves: Int32Array,
  from: number,
  to: number,
): boolean {
  let high = 0;
  let low = 0;
  let k = 2 * from;
  let i = at;
  for (const stop = 2 * to - 6; k < stop; k += 8, i += 4) {
    const v = halves[k]!;
    const w = halves[k + 2]!;
    const x = halves[k + 4]!;
    const y = halves[k + 6]!;
    high |= halves[k + 1]! | halves[k + 3]! | halves[k + 5]! | halves[k + 7]!;
    low |= v | w | x | y;
    out[i] = v;
    out[i + 1] = w;
    out[i + 2] = x;
    out[i + 3] = y;
  }
  for (; k < 2 * to; k += 2, i++) {
    const v = halves[k]!;
    high |= halves[k + 1]!;
    low |= v;
    out[i] = v;
  }
  return high === 0 && low >= 0;
}
