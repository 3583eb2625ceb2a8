// What: the API keys file (zeptodb-keys-v1), and whether a presented key is one of it.
// Why: keys and roles are those of the original, so its key files work unchanged.
// Invariant: only SHA-256 hashes are ever held; comparing takes the same time whichever key is presented.
//
//   # zeptodb-keys-v1
//   id|name|sha256hex|role|symbols|enabled|created_ns|tables|tenant|expires

import { createHash, timingSafeEqual } from 'node:crypto';
import { ZeptoError } from '../../src/kernel/errors.ts';

export type Permission = 'read' | 'write' | 'admin' | 'metrics';

/** What a role may do. `admin` may everything. */
export const rolePermissions = {
  admin: ['read', 'write', 'admin', 'metrics'],
  writer: ['read', 'write', 'metrics'],
  reader: ['read'],
  analyst: [],
  metrics: ['metrics'],
} as const satisfies Record<string, readonly Permission[]>;

export type Role = keyof typeof rolePermissions;

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the whole key as presented, 32 bytes. */
  readonly hash: Uint8Array;
  readonly role: Role;
  readonly isEnabled: boolean;
  /** Null: never. */
  readonly expiresMs: number | null;
}

const FIRST_LINE = '# zeptodb-keys-v1';
const FIELDS = 10;

/**
 * @param path only named in messages.
 * @throws ZeptoError CONFIG_INVALID, which lists every line that is wrong.
 */
export function parseApiKeys(text: string, path: string): readonly ApiKey[] {
  const problems: string[] = [];
  const keys: ApiKey[] = [];
  const lines = text.split(/\r?\n/);
  if (lines[0]?.trim() !== FIRST_LINE) problems.push(`the first line must be "${FIRST_LINE}"`);
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const key = parseLine(line);
    if (typeof key === 'string') problems.push(`line ${index + 1}: ${key}`);
    else keys.push(key);
  }
  const seen = new Set<string>();
  for (const { id } of keys) {
    if (seen.has(id)) problems.push(`the id "${id}" stands twice`);
    seen.add(id);
  }
  if (problems.length > 0)
    throw new ZeptoError('CONFIG_INVALID', 'stop', `--api-keys-file ${path}: ${problems.join('; ')}`, {
      context: { problems },
    });
  return keys;
}

/** The key, or what is wrong with the line. */
function parseLine(line: string): ApiKey | string {
  const fields = line.split('|').map((field) => field.trim());
  if (fields.length !== FIELDS) return `expects ${FIELDS} fields separated by "|", found ${fields.length}`;
  const [id, name, hash, role, symbols, enabled, , tables, tenant, expires] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  if (id === '') return 'the id is empty';
  if (!/^[0-9a-f]{64}$/i.test(hash)) return 'the third field is no SHA-256 (64 hex digits)';
  if (!Object.hasOwn(rolePermissions, role))
    return `unknown role "${role}" (${Object.keys(rolePermissions).join(', ')})`;
  // A restriction that is not enforced would hand out more than its owner meant to.
  if (symbols !== '' || tables !== '' || tenant !== '')
    return `the key "${id}" is limited to symbols, tables or a tenant, which is not supported`;
  if (!/^(1|0|true|false)$/.test(enabled)) return 'the sixth field (enabled) must be 1 or 0';
  if (!/^\d{0,20}$/.test(expires)) return 'the last field (expires) must be nanoseconds since 1970, or empty';
  return {
    id,
    name,
    hash: Buffer.from(hash, 'hex'),
    role: role as Role,
    isEnabled: enabled === '1' || enabled === 'true',
    expiresMs: /^0*$/.test(expires) ? null : Number(BigInt(expires) / 1_000_000n),
  };
}

/** The enabled, unexpired key whose hash is that of `presented`, or null. Looks at every key, whatever it finds. */
export function findApiKey(keys: readonly ApiKey[], presented: string, nowMs: number): ApiKey | null {
  const hash = createHash('sha256').update(presented, 'utf8').digest();
  let found: ApiKey | null = null;
  for (const key of keys) if (timingSafeEqual(key.hash, hash)) found = key;
  if (found === null || !found.isEnabled) return null;
  return found.expiresMs !== null && found.expiresMs <= nowMs ? null : found;
}
