// What: members that tell each other where they answer.
// Why: an address has to be known before the member listens on it, so its port is chosen here.
// Invariant: the port was free a moment ago.

import { createServer } from 'node:net';
import type { MemberProcess } from './member.ts';
import type { Scene } from './scene.ts';

/** Starts a member of the scene with --peer-address; later flags win. */
export async function startPeer(here: Scene, ...flags: readonly string[]): Promise<MemberProcess> {
  const port = await freePort();
  return here.start('--port', String(port), '--peer-address', `http://127.0.0.1:${port}`, ...flags);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
