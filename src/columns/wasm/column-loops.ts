// What: the loops over columns, in AssemblyScript: TypeScript's words for WebAssembly.
// Why: arithmetic of 64 bits, several values at a time, and no look at an array's bounds for each.
// Invariant: each does what the one that ColumnMemory has it for does in src/columns/column-loops.ts; a property test compares them.
//
// Addresses are those of the memory that is given to the module (ColumnMemory). What is read where it lies in a message
// may have any address.

const HOUR_NS: i64 = 3_600_000_000_000;
/** Of each symbol below SYMBOLS_MAX: how many rows an append has of it, u32; 0 outside of one. */
const COUNTS: usize = 0;
const SYMBOLS_MAX: u32 = 1 << 20;
/** What lies before it is the module's own. */
export const MEMORY_START: usize = COUNTS + ((<usize>SYMBOLS_MAX) << 2);
const UNTOUCHED: i32 = -2;

export function hoursOf(times: usize, rows: usize, hours: usize): f64 {
  if (rows === 0) return -Infinity;
  let greatest = load<i64>(times);
  let greatests = i64x2.splat(greatest);
  let hour = hourOf(greatest);
  let first = firstOf(hour);
  let last = lastOf(hour);
  for (let row: usize = 0; row < rows; ) {
    const time = load<i64>(times + (row << 3));
    if (time < first || time > last) {
      hour = hourOf(time);
      first = firstOf(hour);
      last = lastOf(hour);
    }
    greatest = max(greatest, time);
    store<i32>(hours + (row << 2), <i32>hour);
    row++;
    // Mostly the next ones are of it too: four at a time.
    const firsts = i64x2.splat(first);
    const lasts = i64x2.splat(last);
    const four = i32x4.splat(<i32>hour);
    for (; row + 4 <= rows; row += 4) {
      const a = v128.load(times + (row << 3));
      const b = v128.load(times + (row << 3), 16);
      const early = v128.or(i64x2.lt_s(a, firsts), i64x2.lt_s(b, firsts));
      const late = v128.or(i64x2.gt_s(a, lasts), i64x2.gt_s(b, lasts));
      if (v128.any_true(v128.or(early, late))) break;
      const greater = v128.bitselect(a, b, i64x2.gt_s(a, b));
      greatests = v128.bitselect(greater, greatests, i64x2.gt_s(greater, greatests));
      v128.store(hours + (row << 2), four);
    }
  }
  greatest = max(greatest, i64x2.extract_lane(greatests, 0));
  return <f64>max(greatest, i64x2.extract_lane(greatests, 1));
}

/** Floor, not truncation. */
function hourOf(time: i64): i64 {
  const hour = time / HOUR_NS;
  return hour * HOUR_NS > time ? hour - 1 : hour;
}

/** The first and the last time of an hour: int64 begins and ends within one. */
function firstOf(hour: i64): i64 {
  return hour <= i64.MIN_VALUE / HOUR_NS - 1 ? i64.MIN_VALUE : hour * HOUR_NS;
}

function lastOf(hour: i64): i64 {
  return hour >= i64.MAX_VALUE / HOUR_NS ? i64.MAX_VALUE : hour * HOUR_NS + (HOUR_NS - 1);
}

export function areAll(words: usize, count: usize, value: i32): bool {
  const end = words + (count << 2);
  const values = i32x4.splat(value);
  for (; words + 16 <= end; words += 16) if (v128.any_true(i32x4.ne(v128.load(words), values))) return false;
  for (; words < end; words += 4) if (load<i32>(words) !== value) return false;
  return true;
}

export function greatestWord(words: usize, count: usize): u32 {
  const end = words + (count << 2);
  let four = i32x4.splat(0);
  for (; words + 16 <= end; words += 16) four = i32x4.max_u(four, v128.load(words));
  let greatest: u32 = 0;
  for (; words < end; words += 4) greatest = max(greatest, load<u32>(words));
  greatest = max(greatest, <u32>i32x4.extract_lane(four, 0));
  greatest = max(greatest, <u32>i32x4.extract_lane(four, 1));
  greatest = max(greatest, <u32>i32x4.extract_lane(four, 2));
  return max(greatest, <u32>i32x4.extract_lane(four, 3));
}

export function groupBySymbol(
  symbols: usize,
  list: usize,
  count: usize,
  order: usize,
  touched: usize,
  lengths: usize,
): usize {
  const end = list + (count << 2);
  let groups: usize = 0;
  for (let at = list; at < end; at += 4) {
    const symbol = load<u32>(symbols + ((<usize>load<u32>(at)) << 2));
    if (symbol >= SYMBOLS_MAX) continue;
    const slot = COUNTS + ((<usize>symbol) << 2);
    const before = load<u32>(slot);
    if (before === 0) store<u32>(touched + (groups++ << 2), symbol);
    store<u32>(slot, before + 1);
  }
  // From here on a slot says where its symbol's next row number goes.
  let next = order;
  for (let i: usize = 0; i < groups << 2; i += 4) {
    const slot = COUNTS + ((<usize>load<u32>(touched + i)) << 2);
    const length = load<u32>(slot);
    store<u32>(lengths + i, length);
    store<u32>(slot, <u32>next);
    next += (<usize>length) << 2;
  }
  for (let at = list; at < end; at += 4) {
    const row = load<u32>(at);
    const symbol = load<u32>(symbols + ((<usize>row) << 2));
    if (symbol >= SYMBOLS_MAX) {
      store<u32>(next, row);
      next += 4;
      continue;
    }
    const slot = COUNTS + ((<usize>symbol) << 2);
    const to = load<u32>(slot);
    store<u32>(to, row);
    store<u32>(slot, to + 4);
  }
  for (let i: usize = 0; i < groups << 2; i += 4)
    store<u32>(COUNTS + ((<usize>load<u32>(touched + i)) << 2), 0);
  return groups;
}

export function gatherColumns(
  columns: usize,
  columnCount: usize,
  order: usize,
  count: usize,
  target: usize,
  capacity: usize,
  at: usize,
): void {
  for (let i: usize = 0; i < columnCount; i++) {
    const source = <usize>load<u32>(columns + (i << 3));
    const width = <usize>load<u32>(columns + (i << 3), 4);
    const first = target + width * at;
    if (width === 8) gatherLongs(source, order, count, first);
    else if (width === 4) gatherWords(source, order, count, first);
    else gatherBytes(source, order, count, first);
    target += (width * capacity + 7) & ~7;
  }
}

function gatherLongs(source: usize, order: usize, count: usize, target: usize): void {
  const end = order + (count << 2);
  for (; order + 16 <= end; order += 16, target += 32) {
    const first = load<u64>(order);
    const second = load<u64>(order, 8);
    store<u64>(target, load<u64>(source + ((<usize>(<u32>first)) << 3)));
    store<u64>(target, load<u64>(source + ((<usize>(first >> 32)) << 3)), 8);
    store<u64>(target, load<u64>(source + ((<usize>(<u32>second)) << 3)), 16);
    store<u64>(target, load<u64>(source + ((<usize>(second >> 32)) << 3)), 24);
  }
  for (; order < end; order += 4, target += 8)
    store<u64>(target, load<u64>(source + ((<usize>load<u32>(order)) << 3)));
}

function gatherWords(source: usize, order: usize, count: usize, target: usize): void {
  const end = order + (count << 2);
  for (; order < end; order += 4, target += 4)
    store<u32>(target, load<u32>(source + ((<usize>load<u32>(order)) << 2)));
}

function gatherBytes(source: usize, order: usize, count: usize, target: usize): void {
  const end = order + (count << 2);
  for (; order < end; order += 4, target++) store<u8>(target, load<u8>(source + <usize>load<u32>(order)));
}

export function mapKnown(indices: usize, codes: usize, target: usize, from: usize, count: usize): usize {
  let i = from;
  for (; i < count; i++) {
    const index = load<i32>(indices + (i << 2));
    if (index < 0) break;
    const code = load<i32>(codes + ((<usize>index) << 2));
    if (code === UNTOUCHED) break;
    store<i32>(target + (i << 2), code);
  }
  return i;
}

export function copyLongs(source: usize, count: usize, target: usize): bool {
  const end = source + (count << 3);
  const nulls = i64x2.splat(i64.MIN_VALUE);
  let found = i64x2.splat(0);
  for (; source + 32 <= end; source += 32, target += 32) {
    const a = v128.load(source);
    const b = v128.load(source, 16);
    found = v128.or(found, v128.or(i64x2.eq(a, nulls), i64x2.eq(b, nulls)));
    v128.store(target, a);
    v128.store(target, b, 16);
  }
  let isFound = v128.any_true(found);
  for (; source < end; source += 8, target += 8) {
    const value = load<i64>(source);
    isFound = isFound || value === i64.MIN_VALUE;
    store<i64>(target, value);
  }
  return isFound;
}

export function copyWords(source: usize, count: usize, target: usize): bool {
  const end = source + (count << 2);
  const nulls = i32x4.splat(i32.MIN_VALUE);
  let found = i32x4.splat(0);
  for (; source + 16 <= end; source += 16, target += 16) {
    const four = v128.load(source);
    found = v128.or(found, i32x4.eq(four, nulls));
    v128.store(target, four);
  }
  let isFound = v128.any_true(found);
  for (; source < end; source += 4, target += 4) {
    const value = load<i32>(source);
    isFound = isFound || value === i32.MIN_VALUE;
    store<i32>(target, value);
  }
  return isFound;
}
