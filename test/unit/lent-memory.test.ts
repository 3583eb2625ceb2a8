// What: memory that is given out, taken back, given out again.
// Why: memory that two answers of brokers share at once turns one market's ticks into another's.
// Invariant: what is lent and not given back is never lent again.

import { describe, expect, it } from 'vitest';
import { LentMemory } from '../../src/kernel/lent-memory.ts';

const MIB = 2 ** 20;

describe('lent memory', () => {
  it('is lent again when it was given back, and only then', () => {
    const memory = new LentMemory();
    const first = memory.take(3 * MIB);
    const second = memory.take(3 * MIB);
    expect(second.buffer).not.toBe(first.buffer);
    memory.give(first.buffer);
    // Given back twice, it would be lent to two.
    memory.give(first.buffer);
    expect(memory.take(2 * MIB).buffer).toBe(first.buffer);
    expect(memory.take(2 * MIB).buffer).not.toBe(first.buffer);
  });

  it('is large enough', () => {
    const memory = new LentMemory();
    const lent = [2, 5, 1].map((mib) => memory.take(mib * MIB - 7).buffer);
    for (const one of lent) memory.give(one);
    expect(memory.take(3 * MIB).length).toBe(5 * MIB);
    expect(memory.take(MIB).length).toBe(MIB);
    expect(memory.take(4 * MIB).length).toBe(4 * MIB);
  });

  it('is not kept where it is small, huge, more than an exchange needs, or not from here', () => {
    const memory = new LentMemory(4 * MIB);
    const small = memory.take(100);
    const huge = memory.take(4 * MIB + 1);
    const foreign = new ArrayBuffer(MIB);
    for (const { buffer } of [small, huge]) memory.give(buffer);
    memory.give(foreign);
    const many = Array.from({ length: 5 }, () => memory.take(MIB).buffer);
    expect([small.buffer, huge.buffer, foreign].some((one) => many.includes(one))).toBe(false);
    for (const one of many) memory.give(one);
    const again = Array.from({ length: 5 }, () => memory.take(MIB).buffer);
    expect(again.filter((one) => many.includes(one))).toHaveLength(3);
  });
});
