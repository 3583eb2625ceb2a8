// What: when an error of the cluster is final.
// Why: a broker that dies in the middle of a handshake looks like one that refuses the password; asked again, it tells them apart.
// Invariant: passing errors are never final; what an operator must change is final at once, refusals when they repeat.

import type { ZeptoError } from '../../src/kernel/errors.ts';

const REFUSALS_MAX = 3;

export class Patience {
  private refusals = 0;

  /** Something worked. */
  reset(): void {
    this.refusals = 0;
  }

  isFinal(error: ZeptoError): boolean {
    if (error.action === 'retry') return false;
    if (error.code !== 'KAFKA_AUTH' && error.code !== 'KAFKA_PROTOCOL' && error.code !== 'KAFKA_UNREACHABLE')
      return true;
    this.refusals++;
    return this.refusals >= REFUSALS_MAX;
  }
}
