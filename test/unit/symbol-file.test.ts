// What: the fixed symbol dictionary: the forms of its file, and what is wrong in one.
// Why: a slip in a hand-written file would give a name another's id in every file written.
// Invariant: ids are dense from 0; a name that is not listed is refused for its record alone.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSymbolFile, symbolNames } from '../../connectors/fs/symbol-file.ts';

describe('a symbol file', () => {
  it.each([
    ['a JSON list', '["AAPL", "BRK,B", ""]', ['AAPL', 'BRK,B', '']],
    ['a JSON object', ' {"MSFT": 1, "AAPL": 0}', ['AAPL', 'MSFT']],
    ['one name a line', 'AAPL\nMSFT\r\nBRK.B\n', ['AAPL', 'MSFT', 'BRK.B']],
    ['name,id in any order', 'MSFT,1\nAAPL,0\n', ['AAPL', 'MSFT']],
    ['name,id with a header', 'name,id\nMSFT,1\nAAPL,0', ['AAPL', 'MSFT']],
    ['quoted names', '"BRK,B",1\n"say ""A""",0', ['say "A"', 'BRK,B']],
    ['a byte-order mark', '\uFEFFAAPL\nMSFT', ['AAPL', 'MSFT']],
    ['nothing', '', []],
  ])('as %s', (_, text, names) => {
    expect(symbolNames(text, 'f')).toEqual(names);
  });

  it.each([
    ['AAPL\nAAPL', /line 2: symbol "AAPL" stands twice/],
    ['A,0\nB,0', /line 2: id 0 is given to "A" and to "B"/],
    ['A,0\nB,2', /line 2: id 2 of "B": ids of 2 symbols go from 0 to 1/],
    ['name,id\nA,0\nB', /line 3: "B" is not name,id/],
    ['A\n\nB', /line 2 is empty/],
    ['{"A": "0"}', /"A": id NaN/],
    ['{"A": 0.5}', /id 0.5/],
    ['["A", 1]', /entry 1 is not a string/],
    ['[1', /not JSON/],
  ])('%j is refused with the place', (text, message) => {
    expect(() => symbolNames(text, 'f')).toThrow(message);
  });

  it('is read once, answers by it, and refuses other names for their record alone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'symbols-'));
    const path = join(directory, 'symbols.csv');
    try {
      await writeFile(path, 'MSFT,1\nAAPL,0');
      const symbols = await openSymbolFile(path);
      expect(await symbols.assign(['MSFT', 'AAPL', 'MSFT'])).toEqual([1, 0, 1]);
      const learned: [string, number][] = [];
      symbols.subscribe((name, id) => learned.push([name, id]));
      expect(learned).toEqual([
        ['AAPL', 0],
        ['MSFT', 1],
      ]);
      await expect(symbols.assign(['AAPL', 'TSLA'])).rejects.toMatchObject({
        code: 'SYMBOL_LIMIT',
        action: 'skip-record',
      });
      await symbols.close();
    } finally {
      await rm(directory, { recursive: true });
    }
    await expect(openSymbolFile(path)).rejects.toMatchObject({ code: 'CONFIG_INVALID', action: 'stop' });
  });
});
