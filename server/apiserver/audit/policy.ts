/** The audit policy (audit.k8s.io/v1): what is worth how many words. The first rule that matches decides. Pure. */
import type { UserInfo } from '#api/types/index.ts'

export const LEVELS = ['None', 'Metadata', 'Request', 'RequestResponse'] as const
export type AuditLevel = (typeof LEVELS)[number]
export const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const
export type AuditStage = (typeof STAGES)[number]

export interface PolicyRule {
  level: AuditLevel
  users?: readonly string[]
  userGroups?: readonly string[]
  verbs?: readonly string[]
  resources?: readonly { group?: string; resources?: readonly string[]; resourceNames?: readonly string[] }[]
  namespaces?: readonly string[]
  nonResourceURLs?: readonly string[]
  omitStages?: readonly AuditStage[]
  omitManagedFields?: boolean
}

export interface AuditPolicy { rules: readonly PolicyRule[]; omitStages: readonly AuditStage[]; omitManagedFields: boolean }

/** A request as the policy sees it: who really asked, not whom they impersonate. */
export interface AuditedRequest {
  user: UserInfo
  verb: string
  resource?: { group: string; resource: string; subresource: string; namespace: string; name: string }
  path: string
}

export interface AuditDecision { level: AuditLevel; omitStages: ReadonlySet<AuditStage>; omitManagedFields: boolean }

const NOTHING: AuditDecision = { level: 'None', omitStages: new Set(), omitManagedFields: false }

export function decideAudit(policy: AuditPolicy, request: AuditedRequest): AuditDecision {
  const rule = policy.rules.find((r) => matches(r, request))
  if (!rule || rule.level === 'None') return NOTHING
  return { level: rule.level, omitStages: new Set([...policy.omitStages, ...(rule.omitStages ?? [])]), omitManagedFields: rule.omitManagedFields ?? policy.omitManagedFields }
}

export const atLeast = (level: AuditLevel, least: AuditLevel): boolean => LEVELS.indexOf(level) >= LEVELS.indexOf(least)

function matches(rule: PolicyRule, { user, verb, resource, path }: AuditedRequest): boolean {
  const some = (list: readonly string[] | undefined): list is readonly string[] => list !== undefined && list.length > 0
  if (some(rule.users) && !rule.users.includes(user.name)) return false
  if (some(rule.userGroups) && !rule.userGroups.some((g) => user.groups.includes(g))) return false
  if (some(rule.verbs) && !rule.verbs.includes(verb)) return false
  if (some(rule.namespaces) || (rule.resources ?? []).length > 0) {
    if (!resource) return false
    if (some(rule.namespaces) && !rule.namespaces.includes(resource.namespace)) return false
    return (rule.resources ?? []).length === 0 || (rule.resources ?? []).some((r) => matchesResource(r, resource))
  }
  if (some(rule.nonResourceURLs)) return !resource && rule.nonResourceURLs.some((url) => (url.endsWith('*') ? path.startsWith(url.slice(0, -1)) : url === path))
  return true
}

function matchesResource(rule: NonNullable<PolicyRule['resources']>[number], { group, resource, subresource, name }: NonNullable<AuditedRequest['resource']>): boolean {
  if (rule.group !== '*' && (rule.group ?? '') !== group) return false
  const names = rule.resources ?? []
  if (names.length === 0) return true
  if ((rule.resourceNames ?? []).length > 0 && !(rule.resourceNames ?? []).includes(name)) return false
  const full = subresource === '' ? resource : `${resource}/${subresource}`
  return names.some((r) => r === '*' || r === full || (r.startsWith('*/') && subresource !== '' && subresource === r.slice(2)) || (r.endsWith('/*') && resource === r.slice(0, -2)))
}

export type ParsedPolicy = { ok: true; policy: AuditPolicy } | { ok: false; message: string }

/** `value`: what the file says. The message names the field, with upstream's words. */
export function parsePolicy(value: unknown): ParsedPolicy {
  if (!isMapping(value) || value['kind'] !== 'Policy' || value['apiVersion'] !== 'audit.k8s.io/v1') return { ok: false, message: 'it is no Policy of audit.k8s.io/v1' }
  const { rules, omitStages = [], omitManagedFields = false } = value
  if (!Array.isArray(rules) || rules.length === 0) return { ok: false, message: 'loaded illegal policy with 0 rules' }
  const problem = stagesProblem(omitStages, 'omitStages') ?? rules.map((r, i) => ruleProblem(r, `rules[${i}]`)).find((p) => p !== undefined)
  if (problem !== undefined) return { ok: false, message: problem }
  if (typeof omitManagedFields !== 'boolean') return { ok: false, message: 'omitManagedFields: must be true or false' }
  return { ok: true, policy: { rules: rules as PolicyRule[], omitStages: omitStages as AuditStage[], omitManagedFields } }
}

const LISTS = ['users', 'userGroups', 'verbs', 'namespaces', 'nonResourceURLs', 'omitStages'] as const
const RULE_FIELDS: ReadonlySet<string> = new Set([...LISTS, 'level', 'resources', 'omitManagedFields'])

function ruleProblem(rule: unknown, at: string): string | undefined {
  if (!isMapping(rule)) return `${at}: must be a mapping`
  const unknown = Object.keys(rule).find((k) => !RULE_FIELDS.has(k))
  if (unknown !== undefined) return `${at}: unknown field ${JSON.stringify(unknown)}`
  if (rule['level'] === undefined) return `${at}.level: Required value`
  if (!LEVELS.includes(rule['level'] as AuditLevel)) return `${at}.level: Unsupported value: ${JSON.stringify(rule['level'])}: supported values: ${LEVELS.map((l) => JSON.stringify(l)).join(', ')}`
  for (const name of LISTS) if (rule[name] !== undefined && !isTexts(rule[name])) return `${at}.${name}: must be a list of texts`
  const urls = (rule['nonResourceURLs'] ?? []) as string[]
  const wrongUrl = urls.findIndex((url) => url !== '*' && (!url.startsWith('/') || url.slice(0, -1).includes('*')))
  if (wrongUrl >= 0) return `${at}.nonResourceURLs[${wrongUrl}]: Invalid value: ${JSON.stringify(urls[wrongUrl])}: ${(urls[wrongUrl] ?? '').startsWith('/') ? 'non-resource URL wildcards \'*\' must be the final character of the path' : 'non-resource URL rules must begin with a \'/\' character'}`
  const resources = rule['resources'] ?? []
  if (!Array.isArray(resources)) return `${at}.resources: must be a list`
  if (urls.length > 0 && (resources.length > 0 || ((rule['namespaces'] ?? []) as string[]).length > 0)) return `${at}.nonResourceURLs: Invalid value: ${JSON.stringify(urls)}: rules cannot apply to both regular resources and non-resource URLs`
  for (const [i, resource] of resources.entries()) {
    const problem = resourceProblem(resource, `${at}.resources[${i}]`)
    if (problem !== undefined) return problem
  }
  return stagesProblem(rule['omitStages'] ?? [], `${at}.omitStages`)
}

function resourceProblem(resource: unknown, at: string): string | undefined {
  if (!isMapping(resource)) return `${at}: must be a mapping`
  const { group = '', resources = [], resourceNames = [] } = resource
  if (typeof group !== 'string' || !/^(?:\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$/.test(group)) return `${at}.group: Invalid value: ${JSON.stringify(group)}: must be the name of an API group, such as apps`
  if (!isTexts(resources) || !isTexts(resourceNames)) return `${at}: resources and resourceNames must be lists of texts`
  return resourceNames.length > 0 && resources.length === 0 ? `${at}.resourceNames: Invalid value: ${JSON.stringify(resourceNames)}: using resourceNames requires at least one resource` : undefined
}

function stagesProblem(stages: unknown, at: string): string | undefined {
  if (!isTexts(stages)) return `${at}: must be a list of stages`
  const wrong = stages.findIndex((s) => !STAGES.includes(s as AuditStage))
  return wrong < 0 ? undefined : `${at}[${wrong}]: Invalid value: ${JSON.stringify(stages[wrong])}: allowed stages are ${STAGES.join(',')}`
}

const isMapping = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((v) => typeof v === 'string')
