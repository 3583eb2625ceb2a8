// What: the `TickSource` of Kafka: membership, fetching and reading put together, record batches handed to the engine.
// Why: the engine sees partitions come and go and batches in order; nothing of groups, brokers or protocols.
// Invariant: one call of `assigned` or `records` at a time; after `lost` or `assigned` nothing of before is handed over; a position never jumps.

import type { RecordBatch } from '../../src/columns/batch.ts';
import { backoffMs, type Clock } from '../../src/kernel/clock.ts';
import { asZeptoError, type ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, Metrics, SourceListener, TickSource, TopicPartition } from '../../src/ports.ts';
import type { KafkaConnection } from './client.ts';
import { Fetcher } from './fetcher.ts';
import type { Fetched } from './flows.ts';
import { type MemberWire, openMemberWire } from './member-wire.ts';
import { Membership } from './membership.ts';
import { MessageReader } from './message-reader.ts';
import { RecordBatchReader } from './record-batch.ts';
import { TopicLayout } from './topic-layout.ts';

/** As the configuration has it. */
export interface KafkaSourceConfig {
  readonly kafka: {
    /** `direct` reads record batches from the response's bytes; `kafkajs` makes an object per message. */
    readonly fetchDecode: 'direct' | 'kafkajs';
    readonly fetchWaitMsMax: number;
    readonly fetchBytesMax: number;
    readonly fetchPartitionBytesMax: number;
  };
  readonly group: {
    readonly id: string;
    readonly sessionTimeoutMs: number;
    readonly heartbeatIntervalMs: number;
    readonly rebalanceTimeoutMs: number;
  };
}

export interface KafkaSourceParts {
  readonly connection: KafkaConnection;
  readonly config: KafkaSourceConfig;
  readonly topics: readonly string[];
  /** Where queries reach this member; the group is told. */
  readonly address?: string | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** How often the group's leader looks for partitions added to the topics. */
const LAYOUT_INTERVAL_MS = 60_000;
/** What stopping waits for; connections that hang are left to their own time limits. */
const STOP_WAIT_MS_MAX = 2_000;

/** One member of a consumer group. Connects when it is started. */
export function createKafkaSource(parts: KafkaSourceParts): TickSource {
  const { connection, config, clock, logger } = parts;
  const { group, kafka } = config;
  const wire = openMemberWire(
    connection,
    group.id,
    group.rebalanceTimeoutMs,
    kafka.fetchBytesMax,
    logger,
    clock,
  );
  return new KafkaSource(wire, parts);
}

/** The next record batch of what is open; null at its end. */
interface StretchReader {
  open(fetched: Fetched['batches']): void;
  next(): RecordBatch | null | Promise<RecordBatch | null>;
}

export class KafkaSource implements TickSource {
  private readonly wire: MemberWire;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly reader: StretchReader;
  private readonly layout: TopicLayout;
  private readonly membership: Membership;
  private readonly fetcher: Fetcher;
  private listener: SourceListener | null = null;
  /** Assignments and deliveries, one after the other. */
  private tail: Promise<void> = Promise.resolve();
  private isDeliveryDue = false;
  /** Grows with each assignment and each loss; what an older one began is void. */
  private assignment = 0;
  /** Assignments in a row that the engine could not take. */
  private refusedAssignments = 0;
  /** The engine takes an assignment. */
  private isAssigning = false;
  private isDown = false;
  private stopping: Promise<void> | null = null;

  constructor(wire: MemberWire, parts: Omit<KafkaSourceParts, 'connection'>) {
    const { config, topics, clock, logger, metrics } = parts;
    this.wire = wire;
    this.clock = clock;
    this.logger = logger;
    this.reader = config.kafka.fetchDecode === 'direct' ? new RecordBatchReader() : kafkajsReader();
    const layout = new TopicLayout(wire, topics, clock);
    this.layout = layout;
    const common = { wire, layout, clock, logger, metrics };
    const { id: groupId, sessionTimeoutMs, heartbeatIntervalMs, rebalanceTimeoutMs } = config.group;
    this.membership = new Membership(
      {
        groupId,
        topics,
        sessionTimeoutMs,
        heartbeatIntervalMs,
        rebalanceTimeoutMs,
        layoutIntervalMs: LAYOUT_INTERVAL_MS,
        address: parts.address ?? null,
      },
      common,
      {
        joined: (partitions) => this.joined(partitions),
        lost: () => this.lost(),
        failed: (error) => this.fail(error),
      },
    );
    this.fetcher = new Fetcher(config.kafka, common, {
      arrived: () => this.deliverSoon(),
      failed: (error) => this.fail(error),
    });
  }

  /** Resolves when it has begun. What fails from then on is retried, or told to the listener. */
  async start(listener: SourceListener): Promise<void> {
    this.listener = listener;
    this.membership.start();
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.fetcher.pause(partitions);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.fetcher.resume(partitions);
  }

  subscribe(topics: readonly string[]): void {
    if (this.isDown) return;
    this.layout.subscribe(topics);
    this.membership.subscribe(topics);
  }

  seek(partition: TopicPartition, offset: number): void {
    this.fetcher.seek(partition, offset);
  }

  /** Resolves when the group knows, or after a moment. Does not wait for a `records` that is pending. */
  rejoin(): Promise<void> {
    return this.membership.rejoin();
  }

  stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    return this.stopping;
  }

  private async shutDown(): Promise<void> {
    this.isDown = true;
    this.fetcher.stop();
    const limit = new AbortController();
    await Promise.race([
      this.membership.stop().then(() => this.wire.close()),
      this.clock.sleep(STOP_WAIT_MS_MAX, limit.signal).catch(() => {}),
    ]);
    limit.abort();
  }

  // -- membership ----------------------------------------------------------------------------------------

  private joined(partitions: readonly TopicPartition[]): void {
    const assignment = ++this.assignment;
    this.fetcher.hold();
    // It may wait for what is away, and this one would wait for it.
    if (this.isAssigning) this.listener?.lost();
    this.inTurn(() => this.assign(assignment, partitions));
  }

  private lost(): void {
    if (this.isDown) return;
    this.assignment++;
    this.fetcher.clear();
    this.listener?.lost();
  }

  private async assign(assignment: number, partitions: readonly TopicPartition[]): Promise<void> {
    if (this.isDown || assignment !== this.assignment) return;
    // Not before the engine is asked: until then it may pause what it had, for reasons that end with this call.
    this.fetcher.assign(partitions);
    this.isAssigning = true;
    try {
      const positions = await this.listener!.assigned(partitions).finally(() => {
        this.isAssigning = false;
      });
      if (this.isDown || assignment !== this.assignment) return;
      this.refusedAssignments = 0;
      this.fetcher.begin(positions);
      // What was kept of the last assignment arrives no more.
      this.deliverSoon();
    } catch (cause) {
      if (this.isDown || assignment !== this.assignment) return;
      const error = asZeptoError(cause);
      if (error.action !== 'retry' && error.action !== 'rejoin') {
        this.fail(error);
        return;
      }
      this.logger.warn(
        { code: error.code, error: error.message },
        'the assignment was not taken, joining anew',
      );
      await this.clock.sleep(backoffMs(this.refusedAssignments++, 100, 10_000, this.clock));
      if (assignment === this.assignment) await this.membership.rejoin();
    }
  }

  // -- records -------------------------------------------------------------------------------------------

  private deliverSoon(): void {
    if (this.isDeliveryDue) return;
    this.isDeliveryDue = true;
    this.inTurn(() => this.deliver());
  }

  private async deliver(): Promise<void> {
    // First let the next request, which was just begun, reach its socket: decoding holds the thread.
    await turnOfIo();
    this.isDeliveryDue = false;
    for (let fetched = this.fetcher.take(); fetched !== null; fetched = this.fetcher.take()) {
      await this.deliverOne(fetched);
      await turnOfIo();
    }
  }

  private async deliverOne(fetched: Fetched): Promise<void> {
    this.reader.open(fetched.batches);
    for (;;) {
      let batch: RecordBatch | null;
      try {
        batch = await this.reader.next();
      } catch (cause) {
        if (!this.fetcher.isCurrent(fetched)) break;
        this.unreadable(fetched, asZeptoError(cause));
        return;
      }
      // Since the last call it may have become void.
      if (!this.fetcher.isCurrent(fetched)) break;
      if (batch === null) {
        this.fetcher.done(fetched);
        return;
      }
      this.fetcher.handOver(fetched, batch.offsetNext);
      try {
        await this.listener!.records(batch);
      } catch (cause) {
        this.fail(asZeptoError(cause));
      }
    }
    this.fetcher.giveBack(fetched);
  }

  private unreadable(fetched: Fetched, error: ZeptoError): void {
    this.logger.error({ code: error.code, ...error.context }, error.message);
    if (!this.fetcher.retry(fetched)) this.fail(error);
  }

  // ------------------------------------------------------------------------------------------------------

  private inTurn(task: () => Promise<void>): void {
    this.tail = this.tail.then(task).catch((cause) => this.fail(asZeptoError(cause)));
  }

  private fail(error: ZeptoError): void {
    if (this.isDown) return;
    void this.stop();
    this.listener?.failed(error);
  }
}

/** One stretch per share: kafkajs decodes it as a whole. */
function kafkajsReader(): StretchReader {
  const reader = new MessageReader();
  let opened: Fetched['batches'] | null = null;
  return {
    open(fetched) {
      opened = fetched;
    },
    async next() {
      const fetched = opened;
      opened = null;
      return fetched === null ? null : reader.read(fetched);
    },
  };
}

/** After what the sockets have, and what timers are due, has been seen to. */
const turnOfIo = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
