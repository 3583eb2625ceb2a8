// What: everything that is done to the members and to what they depend on.
// Why: each kind has lost or doubled rows of some sink in production.
// Invariant: a fault ends by itself and leaves its target as it was; it tells what it did.

import { setTimeout as sleep } from 'node:timers/promises';
import type { ProxyMode } from '../../services/proxy.ts';
import { type RequestFault, s3Error } from '../support/http-fault-proxy.ts';
import type { Random } from './random.ts';
import type { Stage } from './stage.ts';
import type { SupervisedMember } from './supervised.ts';

export interface Fault {
  readonly kind: string;
  /** How often it comes, beside the others. */
  readonly weight: number;
  /** Resolves with its target when it is over. */
  run(stage: Stage, random: Random): Promise<string>;
}

const memberOf = ({ toS3, toDisk }: Stage, random: Random): SupervisedMember =>
  random.pick([...toS3.members, ...toDisk.members]);

const seconds = (random: Random, low: number, high: number): Promise<void> =>
  sleep(random.between(low, high) * 1000);

const DDL = [
  'CREATE OR REPLACE MATERIALIZED VIEW bars AS SELECT symbol, xbar(timestamp, 60000000000) AS bar, count(*) AS n, sum(id) AS ids FROM trades GROUP BY symbol, xbar(timestamp, 60000000000)',
  'CREATE OR REPLACE MATERIALIZED VIEW bars AS SELECT symbol, count(*) AS n FROM trades GROUP BY symbol',
  'DROP MATERIALIZED VIEW bars',
  'ALTER TABLE trades SET STORAGE POLICY HOT 1 MINUTES WARM 30 MINUTES COLD 20 HOURS',
  'ALTER TABLE trades SET STORAGE POLICY HOT 10 HOURS',
];

/** What a session of 6 s does not survive. */
const PAST_SESSION_MS = 9_000;

const onMember = (
  kind: string,
  weight: number,
  act: (member: SupervisedMember, random: Random) => Promise<void>,
): Fault => ({
  kind,
  weight,
  async run(stage, random) {
    const member = memberOf(stage, random);
    await act(member, random);
    return member.name;
  },
});

const onBrokerWire = (kind: string, mode: (random: Random) => ProxyMode): Fault => ({
  kind: `broker connection ${kind}`,
  weight: 1,
  async run({ brokerProxy }, random) {
    brokerProxy.mode = mode(random);
    await seconds(random, 1, 8);
    brokerProxy.mode = { kind: 'pass' };
    return 'all members';
  },
});

/** Every so many requests. */
const onS3 = (kind: string, fault: (random: Random) => RequestFault, every = 1): Fault => ({
  kind: `S3 ${kind}`,
  weight: 1,
  async run({ s3Proxy }, random) {
    const chosen = fault(random);
    s3Proxy.setFault(({ number }) => (number % every === 0 ? chosen : { kind: 'pass' }));
    await seconds(random, 2, 8);
    s3Proxy.setFault(() => ({ kind: 'pass' }));
    return 'chaos-s3';
  },
});

/** The producer waits meanwhile: what it would not know to be written proves nothing. */
const onBroker = (
  kind: string,
  act: (kafka: Stage['services']['kafka'], random: Random) => Promise<void>,
): Fault => ({
  kind: `broker ${kind}`,
  weight: 0.7,
  async run({ services, ledger }, random) {
    await ledger.pause();
    try {
      await act(services.kafka, random);
    } finally {
      ledger.resume();
    }
    return 'the broker';
  },
});

export const faults: readonly Fault[] = [
  onMember('member killed (SIGKILL)', 5, async (member) => member.signal('SIGKILL')),
  onMember('member drained (SIGTERM)', 2, async (member) => member.signal('SIGTERM')),
  onMember('member stopped past its session and continued (SIGSTOP, SIGCONT)', 2, async (member, random) => {
    member.signal('SIGSTOP');
    await sleep(PAST_SESSION_MS);
    await seconds(random, 0, 5);
    member.signal('SIGCONT');
  }),
  onMember('member stopped for a moment', 1, async (member, random) => {
    member.signal('SIGSTOP');
    await seconds(random, 0.1, 2);
    member.signal('SIGCONT');
  }),
  onMember('member killed right after a stop', 1, async (member, random) => {
    member.signal('SIGSTOP');
    await seconds(random, 0, 3);
    member.signal('SIGKILL');
  }),
  onMember('clock set forward', 1, async (member, random) => {
    await member.jump(Math.round(random.between(60, 7_200)));
    await seconds(random, 3, 10);
    await member.jump(0);
  }),
  onMember('clock set back', 1, async (member, random) => {
    await member.jump(-Math.round(random.between(60, 7_200)));
    await seconds(random, 3, 10);
    await member.jump(0);
  }),
  onMember('flush on demand', 1, async (member) => {
    await member.current.flush().catch(() => {});
  }),
  onMember('view or policy changed by SQL', 2, async (member, random) => {
    // Refused, cut off or answered: the next one comes from any state.
    await member.current.query(random.pick(DDL)).catch(() => {});
  }),
  onBroker('killed (SIGKILL) and started', async (kafka, random) => {
    await kafka.kill('SIGKILL');
    await seconds(random, 0, 3);
    await kafka.start();
  }),
  onBroker('stopped and started', async (kafka, random) => {
    await kafka.kill('SIGTERM');
    await seconds(random, 0, 3);
    await kafka.start();
  }),
  onBrokerWire('stalled', () => ({ kind: 'stall' })),
  onBrokerWire('stalled towards the members', () => ({ kind: 'stall', direction: 'toClient' })),
  onBrokerWire('reset', () => ({ kind: 'reset' })),
  onBrokerWire('cut in the middle of answers', (random) => ({
    kind: 'cut',
    afterBytes: Math.round(random.between(10, 5_000)),
    ending: random.pick(['fin', 'rst']),
  })),
  onBrokerWire('trickling', (random) => ({
    kind: 'trickle',
    bytesPerSecond: Math.round(random.between(2_000, 50_000)),
  })),
  onS3('answers 500', () => s3Error(500, 'InternalError')),
  onS3('answers 503', () => s3Error(503, 'SlowDown'), 2),
  onS3('answers 403', () => s3Error(403, 'AccessDenied')),
  onS3('is slow', (random) => ({ kind: 'delay', ms: Math.round(random.between(200, 3_000)) })),
  onS3(
    'cuts requests in their body',
    (random) => ({ kind: 'cut-request', afterBytes: Math.round(random.between(1, 3_000)) }),
    2,
  ),
  onS3('does it and cuts the answer', () => ({ kind: 'drop-answer' }), 2),
  onS3('hangs', () => ({ kind: 'hang' }), 3),
  onS3('receives a changed byte', () => ({ kind: 'corrupt' }), 3),
  {
    kind: 'disk full',
    weight: 2,
    async run({ disk }, random) {
      await disk.fill();
      await seconds(random, 2, 8);
      await disk.free();
      return 'chaos-disk';
    },
  },
];

export function chooseFault(random: Random): Fault {
  let at = random.next() * faults.reduce((sum, { weight }) => sum + weight, 0);
  for (const fault of faults) {
    at -= fault.weight;
    if (at < 0) return fault;
  }
  return faults[0]!;
}
