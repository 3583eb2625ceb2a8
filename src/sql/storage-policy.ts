// What: the rules of a storage policy, checked.
// Why: tiers out of order would drop rows before they are uploaded; that must be an error, not a surprise.
// Invariant: ages rise strictly in the order HOT, WARM, COLD, DROP; each tier at most once; at least one.

import type { StoragePolicy } from '../columns/storage-policy.ts';
import type { PolicyRule } from './ast.ts';
import { nodeError } from './errors.ts';
import { ageText } from './print.ts';

const tierOrder = ['HOT', 'WARM', 'COLD', 'DROP'] as const;

/** @throws ZeptoError SQL_SYNTAX with the position of the rule at fault. */
export function storagePolicy(rules: readonly PolicyRule[]): StoragePolicy {
  const byTier = new Map<PolicyRule['tier'], PolicyRule>();
  for (const rule of rules) {
    if (byTier.has(rule.tier))
      throw nodeError('SQL_SYNTAX', rule.at, `storage policy: ${rule.tier} is there twice`);
    if (rule.ageMinutes <= 0)
      throw nodeError('SQL_SYNTAX', rule.at, `storage policy: ${rule.tier} needs an age above zero`);
    byTier.set(rule.tier, rule);
  }
  let before: PolicyRule | undefined;
  for (const tier of tierOrder) {
    const rule = byTier.get(tier);
    if (rule === undefined) continue;
    if (before !== undefined && rule.ageMinutes <= before.ageMinutes)
      throw nodeError(
        'SQL_SYNTAX',
        rule.at,
        `storage policy: ${rule.tier} ${ageText(rule.ageMinutes)} must come after ${before.tier} ${ageText(before.ageMinutes)}`,
      );
    before = rule;
  }
  if (before === undefined)
    throw nodeError('SQL_SYNTAX', 0, 'storage policy: at least one of HOT, WARM, COLD, DROP');
  return {
    hotMinutes: byTier.get('HOT')?.ageMinutes ?? null,
    warmMinutes: byTier.get('WARM')?.ageMinutes ?? null,
    coldMinutes: byTier.get('COLD')?.ageMinutes ?? null,
    dropMinutes: byTier.get('DROP')?.ageMinutes ?? null,
  };
}
