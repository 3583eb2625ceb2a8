// What: names by code and codes by name, as the shards learn them.
// Why: results show symbols and texts by name, and conditions are written with names.
// Invariant: a code, once it has its name, never changes it.

import type { Names } from '../query/snapshot.ts';

export class LiveNames implements Names {
  private readonly byCode: string[] = [];
  private readonly byName = new Map<string, number>();

  learn(id: number, name: string): void {
    this.byCode[id] = name;
    this.byName.set(name, id);
  }

  nameOf(code: number): string | undefined {
    return this.byCode[code];
  }

  codeOf(name: string): number | undefined {
    return this.byName.get(name);
  }
}
