// What: free TCP ports on 127.0.0.1, chosen once for a folder.
// Why: a broker that was killed must come back on the very port that its clients know.
// Invariant: ports lie below the range from which systems take a client's own port. A client that connects again
// and again to a closed port inside that range can be given that port, connect to itself, and keep the broker out.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ServiceError } from './errors.ts';

const PORT_MIN = 18_000;
const PORT_MAX = 31_999;

/** The ports of `dir`, by name: read from its `ports.json`, where there is none chosen and written there. */
export async function portsOf<Name extends string>(
  dir: string,
  names: readonly Name[],
): Promise<Record<Name, number>> {
  const path = join(dir, 'ports.json');
  await mkdir(dir, { recursive: true });
  const ports: Record<string, number> = await readFile(path, 'utf8').then(JSON.parse, () => ({}));
  const taken = new Set(Object.values(ports));
  for (const name of names) {
    const port = ports[name] ?? (await freePort(taken));
    taken.add(port);
    ports[name] = port;
  }
  await writeFile(path, JSON.stringify(ports));
  return ports as Record<Name, number>;
}

/** A port that nothing listens on now. */
export async function freePort(taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN + 1));
    if (!taken.has(port) && (await canBind(port))) return port;
  }
  throw new ServiceError(
    `No free port on 127.0.0.1 between ${PORT_MIN} and ${PORT_MAX}.`,
    'end programs that hold ports there (ss -ltn lists them)',
  );
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
