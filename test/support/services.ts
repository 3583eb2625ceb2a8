// What: the global set-up of the tests that need real services.
// Why: one broker and one bucket for the whole run cost seconds once, not per file.
// Invariant: a service that cannot start fails the run with what to do; nothing is skipped.

import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { reportToStderr } from '../../services/errors.ts';
import { installVersityGw } from '../../services/install.ts';
import type { SaslListener, TlsListener } from '../../services/kafka-security.ts';
import type { S3Connection } from '../../services/s3.ts';
import { startServices } from '../../services/up.ts';

/** Where the run's own services listen. Tests keep apart by using topics, groups and key prefixes of their own. */
export interface TestServices {
  readonly brokers: string;
  /** The same broker, with security; `oauthToken` of services/kafka-security.ts makes tokens for it. */
  readonly sasl: SaslListener;
  readonly ssl: TlsListener;
  readonly s3: S3Connection;
  readonly schemaRegistry: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    services: TestServices;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const [services] = await Promise.all([
    startServices({ kafka: { listeners: ['sasl', 'ssl'] } }),
    // Tests start S3 servers with policies themselves; to compile one takes longer than a test should wait.
    installVersityGw(reportToStderr),
  ]);
  project.provide('services', {
    brokers: services.kafka.brokers,
    sasl: services.kafka.sasl!,
    ssl: services.kafka.ssl!,
    s3: services.s3.connection,
    schemaRegistry: services.registry.url,
  });
  return () => services.stop();
}
