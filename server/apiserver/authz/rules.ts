/** What one RBAC rule allows. Pure; semantics of upstream's `rbac` helpers, wildcards included. */
import type { PolicyRule } from '#api/types/index.ts'
import type { Attributes } from '../auth.ts'

const includes = (list: readonly string[] | undefined, value: string): boolean => list !== undefined && (list.includes('*') || list.includes(value))

export function isAllowedByRule(rule: PolicyRule, a: Attributes): boolean {
  if (!includes(rule.verbs, a.verb)) return false
  if (!a.resource) return a.path !== undefined && matchesPath(rule.nonResourceURLs, a.path)
  const { group, resource, subresource, name } = a.resource
  return includes(rule.apiGroups, group) && matchesResource(rule.resources, resource, subresource) && matchesName(rule.resourceNames, name)
}

function matchesResource(list: readonly string[] | undefined, resource: string, subresource: string): boolean {
  if (!list) return false
  const combined = subresource === '' ? resource : `${resource}/${subresource}`
  return list.some((r) => r === '*' || r === combined || (subresource !== '' && r === `*/${subresource}`))
}

/** No names: all objects. Requests without a name (list, create) match no rule with names. */
function matchesName(list: readonly string[] | undefined, name: string): boolean {
  return !list || list.length === 0 || list.includes(name)
}

function matchesPath(list: readonly string[] | undefined, path: string): boolean {
  return list?.some((url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1)))) ?? false
}

/** True when `owner` allows everything that `wanted` does. For the escalation check. */
export function coversRules(owner: readonly PolicyRule[], wanted: readonly PolicyRule[]): { covered: boolean; missing: PolicyRule[] } {
  const missing = wanted.flatMap(breakDown).filter((single) => !owner.some((o) => coversSingle(o, single)))
  return { covered: missing.length === 0, missing }
}

/** One verb and one resource (or URL) each: a rule may be covered by several of the owner's. */
function breakDown(rule: PolicyRule): PolicyRule[] {
  const single: PolicyRule[] = []
  for (const verb of rule.verbs) {
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const base = { verbs: [verb], apiGroups: [group], resources: [resource] }
        if (rule.resourceNames?.length) single.push(...rule.resourceNames.map((name) => ({ ...base, resourceNames: [name] })))
        else single.push(base)
      }
    }
    for (const url of rule.nonResourceURLs ?? []) single.push({ verbs: [verb], nonResourceURLs: [url] })
  }
  return single
}

function coversSingle(owner: PolicyRule, single: PolicyRule): boolean {
  if (!single.verbs.every((v) => includes(owner.verbs, v))) return false
  const url = single.nonResourceURLs?.[0]
  if (url !== undefined) return matchesPath(owner.nonResourceURLs, url)
  const resource = single.resources?.[0] ?? ''
  const slash = resource.indexOf('/')
  const isCovered = owner.resources?.some((r) => r === '*' || r === resource || (slash >= 0 && r === `*${resource.slice(slash)}`)) ?? false
  const names = owner.resourceNames ?? []
  return includes(owner.apiGroups, single.apiGroups?.[0] ?? '') && isCovered && (names.length === 0 || (single.resourceNames !== undefined && single.resourceNames.every((n) => names.includes(n))))
}

/** Upstream's `CompactString`: how a rule is shown in an escalation refusal. */
export function ruleText(rule: PolicyRule): string {
  const part = (name: string, list: readonly string[] | undefined) => (list?.length ? [`${name}:[${list.map((x) => JSON.stringify(x)).join(' ')}]`] : [])
  return `{${[...part('APIGroups', rule.apiGroups), ...part('Resources', rule.resources), ...part('NonResourceURLs', rule.nonResourceURLs), ...part('ResourceNames', rule.resourceNames), ...part('Verbs', rule.verbs)].join(', ')}}`
}

/** Single rules for the same thing become one with all verbs; keeps refusals readable. */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const merged = new Map<string, PolicyRule>()
  for (const rule of rules) {
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames, rule.nonResourceURLs])
    const known = merged.get(key)
    // Upstream joins what concerns one resource only.
    if (rule.nonResourceURLs) merged.set(`${key} ${rule.verbs.join()}`, rule)
    else if (known) known.verbs = [...new Set([...known.verbs, ...rule.verbs])]
    else merged.set(key, { ...rule, verbs: [...rule.verbs] })
  }
  return [...merged.values()]
}
