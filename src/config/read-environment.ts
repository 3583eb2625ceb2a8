// What: the `ZEPTO_…` environment variables as raw settings.
// Why: containers are configured by environment; a misspelt variable must not be ignored in silence.
// Invariant: an empty variable counts as not set, as Compose and Helm write those that have no value.

import { emptyRawSettings, meaningOf, nearestVariable, noteLegacy, type RawSettings } from './raw.ts';

export interface Environment extends RawSettings {
  /** `ZEPTO_CONFIG`. */
  readonly configFile: string | null;
}

/**
 * Kubernetes describes every service of the namespace to every pod: a service called `zepto` becomes
 * ZEPTO_PORT=tcp://…, ZEPTO_SERVICE_HOST and so on. Those are not ours.
 */
const SERVICE_LINK = /^ZEPTO_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)$/;
const SERVICE_LINK_VALUE = /^(tcp|udp|sctp):\/\//;

export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Environment {
  const raw = emptyRawSettings();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('ZEPTO_') || value === undefined || value === '') continue;
    if (variable === 'ZEPTO_CONFIG' || SERVICE_LINK.test(variable)) continue;
    if (variable.endsWith('_PORT') && SERVICE_LINK_VALUE.test(value)) continue;
    const name = variable.slice('ZEPTO_'.length).toLowerCase().replaceAll('_', '-');
    const meaning = variable === variable.toUpperCase() ? meaningOf(name) : null;
    if (meaning === null || meaning.kind === 'negated')
      raw.problems.push(`unknown environment variable ${variable}${nearestVariable(variable)}`);
    else if (meaning.kind === 'legacy') noteLegacy(raw, variable, meaning.legacy);
    else
      raw.values.set(meaning.kind === 'secret-file' ? `${meaning.name}-file` : meaning.name, {
        raw: value,
        source: 'environment',
        spelled: variable,
      });
  }
  return { ...raw, configFile: env.ZEPTO_CONFIG || null };
}
