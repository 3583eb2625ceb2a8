// What: settings of the original server that are not settings here: accepted without effect, or refused with the way to go.
// Why: its command lines and charts keep working, and nobody believes that a flag does something which it does not.
// Invariant: no name here is also in settings.ts; everything accepted without effect is said in a notice.

export interface LegacySetting {
  readonly takesValue: boolean;
  /** `ignored`: accepted, with `advice` as notice. `refused`: a problem, with `advice` as the fix. */
  readonly verdict: 'ignored' | 'refused';
  readonly advice: string;
}

const ignored = (takesValue: boolean, advice: string): LegacySetting => ({
  takesValue,
  verdict: 'ignored',
  advice,
});
const refused = (takesValue: boolean, advice: string): LegacySetting => ({
  takesValue,
  verdict: 'refused',
  advice,
});

const useKeys = refused(true, 'JWT and OpenID Connect are not supported: use --api-keys-file');
const useGroup = refused(
  true,
  'members of one Kafka consumer group are the cluster: start more with the same --group',
);

export const legacySettings: Readonly<Record<string, LegacySetting>> = {
  'acknowledge-incomplete-durability': ignored(
    false,
    'nothing to acknowledge: offsets move only after durable files',
  ),
  'drain-threads': ignored(true, 'use --shards'),
  'ring-buffer-capacity': ignored(true, 'use --memory-budget'),
  'worker-threads': ignored(true, 'use --shards and --encode-threads'),
  'analytics-mode': ignored(true, 'there is one mode'),
  'disable-rate-limit': ignored(false, 'there is no rate limit'),
  'disable-audit': ignored(false, 'the access log is the audit log'),
  'no-bootstrap-dev-keys': ignored(false, 'there are no built-in keys'),
  'bootstrap-dev-keys': refused(false, 'there are no built-in keys: use --api-keys-file'),
  ticks: refused(true, 'sample ticks come from `zepto demo --ticks N`'),
  'audit-log-file': refused(true, 'the access log on standard output is the audit log'),
  'secure-cookie': refused(false, 'there are no cookies'),
  'tls-ca': refused(true, 'client certificates are not supported: use --api-keys-file'),
  'web-dir': refused(true, 'there are no static files to serve'),
  tenant: refused(true, 'there are no tenants: run one group per tenant'),
  'jwt-issuer': useKeys,
  'jwt-audience': useKeys,
  'jwt-secret': useKeys,
  'jwt-public-key': useKeys,
  'jwks-url': useKeys,
  'oidc-issuer': useKeys,
  'oidc-client-id': useKeys,
  'oidc-client-secret': useKeys,
  'oidc-redirect-uri': useKeys,
  'node-id': useGroup,
  'rpc-port': useGroup,
  ha: useGroup,
  peer: useGroup,
  'add-node': useGroup,
  cluster: useGroup,
  'cluster-secret': useGroup,
  'cluster-secret-file': useGroup,
  'failover-enabled': useGroup,
};
