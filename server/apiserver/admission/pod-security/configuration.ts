/** PodSecurityConfiguration of pod-security.admission.config.k8s.io/v1: defaults of namespaces without labels, and who is exempt. Pure. */
import { checkDnsLabel, checkDnsSubdomain } from '#api/types/names.ts'
import { duplicate, invalid, type FieldError } from '../../field-error.ts'
import { levelProblem, parseVersion, PRIVILEGED, versionProblem, type Level, type Policy } from './policy.ts'

export interface PodSecurityConfig {
  defaults: Policy
  exemptions: { namespaces: readonly string[]; runtimeClasses: readonly string[]; usernames: readonly string[] }
}

export const DEFAULT_POD_SECURITY: PodSecurityConfig = { defaults: { enforce: PRIVILEGED, audit: PRIVILEGED, warn: PRIVILEGED }, exemptions: { namespaces: [], runtimeClasses: [], usernames: [] } }

const MODES = ['enforce', 'warn', 'audit'] as const
const VERSIONS = ['v1', 'v1beta1', 'v1alpha1'].map((v) => `pod-security.admission.config.k8s.io/${v}`)

/** `input`: what the configuration file holds for the plugin. */
export function parsePodSecurityConfig(input: unknown): { ok: true; config: PodSecurityConfig } | { ok: false; message: string } {
  const wrong = (message: string) => ({ ok: false as const, message })
  if (!isMapping(input)) return wrong('expected PodSecurityConfiguration')
  if (input['kind'] !== 'PodSecurityConfiguration' || !VERSIONS.includes(String(input['apiVersion']))) {
    return wrong(`no kind ${JSON.stringify(input['kind'] ?? '')} is registered for version ${JSON.stringify(input['apiVersion'] ?? '')}: expected PodSecurityConfiguration of ${VERSIONS[0] ?? ''}`)
  }
  const unknown = unknownField(input, ['apiVersion', 'kind', 'defaults', 'exemptions'], '')
    ?? unknownField(input['defaults'], MODES.flatMap((m) => [m, `${m}-version`]), 'defaults.') ?? unknownField(input['exemptions'], ['namespaces', 'runtimeClasses', 'usernames'], 'exemptions.')
  if (unknown !== undefined) return wrong(`unknown field ${JSON.stringify(unknown)}`)
  const errors: FieldError[] = []
  const defaults = readDefaults((input['defaults'] ?? {}) as Record<string, unknown>, errors)
  const lists = (input['exemptions'] ?? {}) as Record<string, unknown>
  const exemptions = {
    namespaces: readNames(lists['namespaces'], 'exemptions.namespaces', (name) => checkDnsLabel(name).join(', '), errors),
    runtimeClasses: readNames(lists['runtimeClasses'], 'exemptions.runtimeClasses', (name) => checkDnsSubdomain(name).join(', '), errors),
    usernames: readNames(lists['usernames'], 'exemptions.usernames', (name) => (name === '' ? 'username must not be empty' : ''), errors),
  }
  return errors.length > 0 ? wrong(errors.map((e) => `${e.field}: ${e.message}`).join(', ')) : { ok: true, config: { defaults, exemptions } }
}

function readDefaults(given: Record<string, unknown>, errors: FieldError[]): Policy {
  const policy: Policy = { enforce: { ...PRIVILEGED }, audit: { ...PRIVILEGED }, warn: { ...PRIVILEGED } }
  for (const mode of MODES) {
    const level = textOf(given[mode]) || 'privileged'
    const version = textOf(given[`${mode}-version`]) || 'latest'
    const [badLevel, badVersion] = [levelProblem(level), versionProblem(version)]
    if (badLevel !== undefined) errors.push(invalid(`defaults.${mode}`, level, badLevel))
    if (badVersion !== undefined) errors.push(invalid(`defaults.${mode}-version`, version, badVersion))
    policy[mode] = { level: level as Level, minor: parseVersion(version) ?? 'latest' }
  }
  return policy
}

function readNames(given: unknown, field: string, problem: (name: string) => string, errors: FieldError[]): string[] {
  if (given === undefined || given === null) return []
  if (!Array.isArray(given)) {
    errors.push(invalid(field, given, 'must be a list'))
    return []
  }
  const names: string[] = []
  for (const [i, item] of given.entries()) {
    const name = textOf(item)
    const bad = problem(name)
    if (bad !== '') errors.push(invalid(`${field}[${i}]`, name, bad))
    else if (names.includes(name)) errors.push(duplicate(`${field}[${i}]`, name))
    else names.push(name)
  }
  return names
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value))
const isMapping = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

function unknownField(value: unknown, known: readonly string[], path: string): string | undefined {
  const found = isMapping(value) ? Object.keys(value).find((key) => !known.includes(key)) : undefined
  return found === undefined ? undefined : `${path}${found}`
}
