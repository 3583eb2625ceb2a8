// What: a stream of made-up but life-like ticks: trades and quotes of 60 symbols, in bursts, some late, some broken.
// Why: the demo should look like a market, and every record must be known by a number of its own.
// Invariant: the same seed gives the same stream; `seq` is unique per table and counts the good ticks.

export interface TickRecord {
  readonly table: 'trades' | 'quotes';
  readonly key: string;
  readonly value: string;
  readonly isGood: boolean;
}

const SYMBOLS = (
  'AAPL MSFT NVDA AMZN GOOG META TSLA AVGO BRKB JPM LLY V UNH XOM MA COST HD PG JNJ ABBV NFLX BAC CRM ORCL KO ' +
  'CVX MRK WMT AMD PEP TMO LIN ACN MCD CSCO ABT ADBE GE DHR TXN QCOM WFC PM AMGN INTU CAT IBM NOW VZ ISRG DIS ' +
  'GS SPGI RTX NEE PFE UBER LOW HON BKNG'
).split(' ');

const LATE_SHARE = 0.004;
const BROKEN_SHARE = 0.0005;
const TRADE_SHARE = 0.35;

export interface TickStreamOptions {
  readonly seed: number;
  /** Event time of the first tick, ms since 1970 UTC. */
  readonly startMs: number;
  /** Mean event time between two ticks. */
  readonly meanGapNs: number;
}

export function* tickStream({ seed, startMs, meanGapNs }: TickStreamOptions): Generator<TickRecord, never> {
  let state = seed >>> 0 || 1;
  const random = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 0x1_0000_0000;
  };
  // Prices in ten-thousandths; popular symbols trade far more often than the rest.
  const prices = SYMBOLS.map(() => Math.round(200_000 + random() * 5_000_000));
  const sequence = { trades: 0, quotes: 0 };
  let elapsedNs = 0;
  let burst = 0;
  for (;;) {
    if (burst === 0 && random() < 0.002) burst = 200;
    else if (burst > 0) burst--;
    elapsedNs += Math.ceil(-Math.log(1 - random()) * meanGapNs * (burst > 0 ? 0.1 : 1.2));
    const symbol = Math.floor(random() ** 2.2 * SYMBOLS.length);
    const name = SYMBOLS[symbol]!;
    prices[symbol] = Math.max(10_000, prices[symbol]! + Math.round((random() - 0.5) * 200));
    const table = random() < TRADE_SHARE ? 'trades' : 'quotes';
    if (random() < BROKEN_SHARE) {
      yield { table, key: name, value: `{"symbol":"${name}","price":"not a nu`, isGood: false };
      continue;
    }
    const lateNs = random() < LATE_SHARE ? Math.floor(random() * 5.4e12) : 0;
    const timestamp = BigInt(startMs) * 1_000_000n + BigInt(elapsedNs - lateNs);
    const seq = sequence[table]++;
    const lot = 100 * (1 + Math.floor(random() ** 3 * 20));
    const price = decimal(prices[symbol]!);
    const value =
      table === 'trades'
        ? `{"timestamp":${timestamp},"symbol":"${name}","price":${price},"volume":${lot},"msg_type":0,"seq":${seq}}`
        : `{"timestamp":${timestamp},"symbol":"${name}","bid":${price},"ask":${decimal(prices[symbol]! + 100 + Math.floor(random() * 300))},"bid_size":${lot},"ask_size":${lot},"seq":${seq}}`;
    yield { table, key: name, value, isGood: true };
  }
}

const decimal = (tenThousandths: number): string =>
  `${Math.floor(tenThousandths / 10_000)}.${String(tenThousandths % 10_000).padStart(4, '0')}`;
