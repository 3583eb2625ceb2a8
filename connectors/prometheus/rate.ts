// What: the rate of a growing total over the last ten samples.
// Why: an autoscaler wants rows per second as a gauge, the same for every scraper.
// Invariant: bounded memory; a total that stands still has rate 0 after the window.

const SAMPLES = 11;

export class RateWindow {
  private readonly samples: { atMs: number; total: number }[] = [];

  sample(atMs: number, total: number): void {
    this.samples.push({ atMs, total });
    if (this.samples.length > SAMPLES) this.samples.shift();
  }

  perSecond(): number {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return ((last.total - first.total) * 1000) / (last.atMs - first.atMs);
  }
}
