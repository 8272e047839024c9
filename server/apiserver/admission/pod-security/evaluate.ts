/** A pod held against a level of a version: which checks count, and what they say together. Pure. */
import type { ObjectMeta, PodSpec } from '#api/types/index.ts'
import { BASELINE } from './baseline.ts'
import type { Check, CheckPod, Finding } from './check.ts'
import type { LevelVersion } from './policy.ts'
import { RESTRICTED } from './restricted.ts'

export function evaluate({ level, minor }: LevelVersion, metadata: ObjectMeta | undefined, spec: PodSpec): Finding[] {
  if (level === 'privileged') return []
  const restricted = level === 'restricted' ? activeAt(RESTRICTED, minor) : []
  const overridden = new Set(restricted.map(({ check }) => check.overrides))
  const baseline = activeAt(BASELINE, minor).filter(({ check }) => !overridden.has(check.id))
  return [...baseline, ...restricted].flatMap(({ run }) => run({ metadata, spec }) ?? [])
}

/** A version newer than all checks has the newest of each. */
function activeAt(checks: readonly Check[], minor: LevelVersion['minor']): { check: Check; run: CheckPod }[] {
  return checks.flatMap((check) => {
    const version = check.versions.findLast(({ since }) => minor === 'latest' || since <= minor)
    return version ? [{ check, run: version.check }] : []
  })
}

/** `host namespaces (hostNetwork=true), privileged (container "a" must not ...)` */
export const showDetails = (findings: readonly Finding[]): string => findings.map(({ reason, detail }) => (detail === '' ? reason : `${reason} (${detail})`)).join(', ')
export const showReasons = (findings: readonly Finding[]): string => findings.map(({ reason }) => reason).join(', ')
