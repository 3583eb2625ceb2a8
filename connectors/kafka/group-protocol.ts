// What: what members tell the group about themselves and are told in return, as bytes.
// Why: Kafka passes these bytes on unread; in the standard form, Kafka's own tools show who has which partition.
// Invariant: whatever bytes another member sends, reading them gives a value: at worst "knows nothing, owns nothing".
//
// Kafka's ConsumerProtocol, version 0: a subscription is int16 version, topics, user data; an assignment is int16
// version, topics with partitions, user data. Our user data is JSON: {"v": 1, "generation": 7, "owned": {"ticks": [0, 2]}, "address": "http://…"}.

import { malformed, Reader, Writer } from './protocol.ts';

/** Under this name members agree how partitions are shared out. */
export const GROUP_PROTOCOL = 'zepto-sticky';

/** Partitions by topic. */
export type PartitionsByTopic = Readonly<Record<string, readonly number[]>>;

export interface Subscription {
  readonly topics: readonly string[];
  /** What the member had in the generation that it was last part of. */
  readonly owned: PartitionsByTopic;
  readonly generation: number;
  /** Where queries reach the member; null when it does not say. */
  readonly address: string | null;
}

export function encodeSubscription({ topics, owned, generation, address }: Subscription): Uint8Array {
  const to = new Writer();
  to.int16(0);
  to.array(topics, (topic) => to.string(topic));
  const userData = { v: 1, generation, owned, ...(address === null ? {} : { address }) };
  to.bytes(Buffer.from(JSON.stringify(userData)));
  return to.finish();
}

export function decodeSubscription(bytes: Uint8Array): Subscription {
  let topics: readonly string[] = [];
  try {
    const from = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    from.int16();
    topics = from.array(() => from.string());
    const data: unknown = JSON.parse(from.bytes().toString());
    if (typeof data === 'object' && data !== null) return { topics, ...decodeUserData(data) };
  } catch {
    // Another version, or another program. It gets its share; it owns nothing that would stick.
  }
  return { topics, owned: {}, generation: -1, address: null };
}

function decodeUserData(data: object): Omit<Subscription, 'topics'> {
  const { owned, generation, address } = data as Record<string, unknown>;
  const partitionsByTopic: Record<string, number[]> = Object.create(null);
  if (typeof owned === 'object' && owned !== null) {
    for (const [topic, partitions] of Object.entries(owned))
      if (Array.isArray(partitions))
        partitionsByTopic[topic] = partitions.filter((one) => Number.isInteger(one) && one >= 0);
  }
  return {
    owned: partitionsByTopic,
    generation: Number.isSafeInteger(generation) ? (generation as number) : -1,
    address: typeof address === 'string' ? address : null,
  };
}

export function encodeAssignment(assigned: PartitionsByTopic): Uint8Array {
  const to = new Writer();
  to.int16(0);
  to.array(Object.entries(assigned), ([topic, partitions]) => {
    to.string(topic);
    to.array(partitions, (partition) => to.int32(partition));
  });
  to.bytes(new Uint8Array(0));
  return to.finish();
}

/** Nothing at all for a member that the leader left out. @throws ZeptoError KAFKA_PROTOCOL */
export function decodeAssignment(bytes: Uint8Array): PartitionsByTopic {
  const assigned: Record<string, number[]> = Object.create(null);
  if (bytes.length === 0) return assigned;
  const from = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  from.int16();
  from.array(() => {
    const topic = from.string();
    const partitions = from.array(() => from.int32());
    // One that is consumed twice, or that nobody has, must not pass in silence.
    const isSound = partitions.every((one) => one >= 0) && new Set(partitions).size === partitions.length;
    if (!isSound || topic in assigned)
      throw malformed(`the assignment of ${topic} names a partition twice, or one below 0`);
    assigned[topic] = partitions;
  });
  return assigned;
}
