/** What a namespace asks of its pods: levels and versions in its labels (KEP-2579, `pod-security.kubernetes.io/*`). Pure. */
import type { Labels } from '#api/types/labels.ts'
import { invalid, type FieldError } from '../../field-error.ts'

export type Level = 'privileged' | 'baseline' | 'restricted'

/** `minor` of Kubernetes 1; 'latest' is whatever this server knows. */
export interface LevelVersion { level: Level; minor: number | 'latest' }

export interface Policy { enforce: LevelVersion; audit: LevelVersion; warn: LevelVersion }

export const LABEL_PREFIX = 'pod-security.kubernetes.io/'
export const LEVELS: readonly Level[] = ['privileged', 'baseline', 'restricted']
export const PRIVILEGED: LevelVersion = { level: 'privileged', minor: 'latest' }

const LEVEL_WRONG = `must be one of ${LEVELS.join(', ')}`
const VERSION_WRONG = 'must be "latest" or "v1.x"'

export const isLevel = (text: string): text is Level => (LEVELS as readonly string[]).includes(text)

/** Undefined: neither `latest` nor `v1.x`. */
export function parseVersion(text: string): number | 'latest' | undefined {
  if (text === 'latest') return 'latest'
  const match = /^v1\.(\d|[1-9]\d*)$/.exec(text)
  return match ? Number(match[1]) : undefined
}

/** What is wrong with a level or a version, or undefined. */
export const levelProblem = (text: string): string | undefined => (isLevel(text) ? undefined : LEVEL_WRONG)
export const versionProblem = (text: string): string | undefined => (parseVersion(text) === undefined ? VERSION_WRONG : undefined)

/** `restricted:latest`, `baseline:v1.30`. */
export const showPolicy = ({ level, minor }: LevelVersion): string => `${level}:${minor === 'latest' ? minor : `v1.${minor}`}`

export const sameLevelVersion = (a: LevelVersion, b: LevelVersion): boolean => a.level === b.level && a.minor === b.minor
export const isFullyPrivileged = ({ enforce, audit, warn }: Policy): boolean => [enforce, audit, warn].every((p) => p.level === 'privileged')
/** Positive when a is stricter. */
export const compareLevels = (a: Level, b: Level): number => LEVELS.indexOf(a) - LEVELS.indexOf(b)

const equivalent = (a: LevelVersion, b: LevelVersion): boolean => sameLevelVersion(a, b) || (a.level === 'privileged' && b.level === 'privileged')
export const equivalentPolicies = (a: Policy, b: Policy): boolean => equivalent(a.enforce, b.enforce) && equivalent(a.audit, b.audit) && equivalent(a.warn, b.warn)

/** There is always a policy: what cannot be read counts as restricted for enforce, as privileged for audit and warn, versions as latest. */
export function policyOf(labels: Labels | undefined, defaults: Policy): { policy: Policy; errors: FieldError[] } {
  const policy: Policy = { enforce: { ...defaults.enforce }, audit: { ...defaults.audit }, warn: { ...defaults.warn } }
  const errors: FieldError[] = []
  const read = (mode: keyof Policy): { hasLevel: boolean; levelIsRight: boolean; hasVersion: boolean } => {
    const level = labels?.[`${LABEL_PREFIX}${mode}`]
    const version = labels?.[`${LABEL_PREFIX}${mode}-version`]
    if (level !== undefined) {
      policy[mode].level = isLevel(level) ? level : mode === 'enforce' ? 'restricted' : 'privileged'
      if (!isLevel(level)) errors.push(invalid(`metadata.labels[${LABEL_PREFIX}${mode}]`, level, LEVEL_WRONG))
    }
    if (version !== undefined) {
      policy[mode].minor = parseVersion(version) ?? 'latest'
      if (parseVersion(version) === undefined) errors.push(invalid(`metadata.labels[${LABEL_PREFIX}${mode}-version]`, version, VERSION_WRONG))
    }
    return { hasLevel: level !== undefined, levelIsRight: level !== undefined && isLevel(level), hasVersion: version !== undefined }
  }
  const enforce = read('enforce')
  read('audit')
  const warn = read('warn')
  // Who enforces is warned by the same measure, at the workload that will make the pods.
  if (!warn.hasLevel && enforce.levelIsRight && compareLevels(policy.enforce.level, policy.warn.level) > 0) {
    policy.warn = { level: policy.enforce.level, minor: warn.hasVersion ? policy.warn.minor : policy.enforce.minor }
  }
  return { policy, errors }
}
