// What: the checksum of manifests: its known values and the joining of two stretches.
// Why: `zepto verify` compares what others computed over the same bytes.
// Invariant: check values are those of RFC 3720, appendix B.4.

import { expect, test } from 'vitest';
import { combineCrc32c, crc32cOf, crc32cText } from '../../src/format/crc32c.ts';

test('the check values of RFC 3720 hold', () => {
  expect(crc32cText(crc32cOf([Buffer.from('123456789')]))).toBe('e3069283');
  expect(crc32cText(crc32cOf([new Uint8Array(32)]))).toBe('8a9136aa');
  expect(crc32cText(crc32cOf([new Uint8Array(32).fill(0xff)]))).toBe('62a8ab43');
  expect(crc32cText(crc32cOf([]))).toBe('00000000');
});

test('two stretches join into the checksum of the whole, for any cut', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 167 + 13) & 0xff);
  const whole = crc32cOf([bytes]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const first = bytes.subarray(0, cut);
    const second = bytes.subarray(cut);
    expect(combineCrc32c(crc32cOf([first]), crc32cOf([second]), second.length)).toBe(whole);
    expect(crc32cOf([first, second])).toBe(whole);
  }
});

test('lengths beyond 2^32 bits join too', () => {
  const zeros = new Uint8Array(1 << 26);
  const first = crc32cOf([Buffer.from('ticks')]);
  let stepwise = first;
  for (let i = 0; i < 16; i++) stepwise = combineCrc32c(stepwise, crc32cOf([zeros]), zeros.length);
  let zerosCrc = crc32cOf([zeros]);
  for (let i = 0; i < 4; i++) zerosCrc = combineCrc32c(zerosCrc, zerosCrc, zeros.length * 2 ** i);
  expect(combineCrc32c(first, zerosCrc, zeros.length * 16)).toBe(stepwise);
});
