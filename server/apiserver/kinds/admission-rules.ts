/** What admission webhooks and policies share: rules by operation and resource, match conditions, match resources. */
import type { LabelSelector, MatchCondition, MatchResources, NamedRuleWithOperations, ParamKind, ParamRef, RuleWithOperations } from '#api/types/index.ts'
import { checkDns1035Label, checkDnsSubdomain, checkPathSegment, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, notSupported, required, tooMany } from '../field-error.ts'
import { checkLabelSelector, named, oneOf } from './check.ts'

export const FAILURE_POLICIES = ['Fail', 'Ignore']
export const MATCH_POLICIES = ['Equivalent', 'Exact']
export const REINVOCATION_POLICIES = ['IfNeeded', 'Never']
const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE']
const SCOPES = ['*', 'Cluster', 'Namespaced']
const MATCH_CONDITIONS_MAX = 64

export function defaultRules(rules: readonly RuleWithOperations[] | undefined): void {
  for (const rule of rules ?? []) rule.scope ??= '*'
}

export function defaultMatchResources(match: MatchResources | undefined): void {
  if (!match) return
  match.matchPolicy ??= 'Equivalent'
  match.namespaceSelector ??= {}
  match.objectSelector ??= {}
  defaultRules(match.resourceRules)
  defaultRules(match.excludeResourceRules)
}

const hasAny = (list: readonly string[]): boolean => list.length > 1 && list.includes('*')

export function validateRule(at: string, rule: RuleWithOperations): FieldError[] {
  const { operations = [], apiGroups = [], apiVersions = [] } = rule
  const out: FieldError[] = []
  if (operations.length === 0) out.push(required(`${at}.operations`))
  if (hasAny(operations)) out.push(invalid(`${at}.operations`, operations, "if '*' is present, must not specify other operations"))
  for (const [i, op] of operations.entries()) if (!OPERATIONS.includes(op)) out.push(notSupported(`${at}.operations[${i}]`, op, OPERATIONS))
  if (apiGroups.length === 0) out.push(required(`${at}.apiGroups`))
  if (hasAny(apiGroups)) out.push(invalid(`${at}.apiGroups`, apiGroups, "if '*' is present, must not specify other API groups"))
  if (apiVersions.length === 0) out.push(required(`${at}.apiVersions`))
  if (hasAny(apiVersions)) out.push(invalid(`${at}.apiVersions`, apiVersions, "if '*' is present, must not specify other API versions"))
  for (const [i, version] of apiVersions.entries()) if (version === '') out.push(required(`${at}.apiVersions[${i}]`))
  out.push(...validateResources(`${at}.resources`, rule.resources ?? []))
  if (rule.scope !== undefined && !SCOPES.includes(rule.scope)) out.push(notSupported(`${at}.scope`, rule.scope, SCOPES))
  return out
}

/** `pods`, `pods/log`, and either side a star. */
function validateResources(at: string, resources: readonly string[]): FieldError[] {
  const out = resources.length === 0 ? [required(at)] : []
  const anySub = new Set<string>()
  const anyResource = new Set<string>()
  let plain = false
  for (const [i, text] of resources.entries()) {
    if (text === '') {
      out.push(required(`${at}[${i}]`))
      continue
    }
    const slash = text.indexOf('/')
    if (slash < 0) {
      plain = text !== '*'
      continue
    }
    const [resource, sub] = [text.slice(0, slash), text.slice(slash + 1)]
    if (anySub.has(resource)) out.push(invalid(`${at}[${i}]`, text, `if '${resource}/*' is present, must not specify ${text}`))
    if (anyResource.has(sub)) out.push(invalid(`${at}[${i}]`, text, `if '*/${sub}' is present, must not specify ${text}`))
    if (sub === '*') anySub.add(resource)
    if (resource === '*') anyResource.add(sub)
  }
  if (resources.length > 1 && resources.includes('*/*')) out.push(invalid(at, resources, "if '*/*' is present, must not specify other resources"))
  if (resources.includes('*') && plain) out.push(invalid(at, resources, "if '*' is present, must not specify other resources without subresources"))
  return out
}

function validateNamedRule(at: string, rule: NamedRuleWithOperations): FieldError[] {
  const seen = new Set<string>()
  const out: FieldError[] = []
  for (const [i, name] of (rule.resourceNames ?? []).entries()) {
    out.push(...named(`${at}.resourceNames[${i}]`, name, checkPathSegment))
    if (seen.has(name)) out.push(duplicate(`${at}.resourceNames[${i}]`, name))
    seen.add(name)
  }
  return [...out, ...validateRule(at, rule)]
}

export function validateMatchResources(at: string, match: MatchResources | undefined): FieldError[] {
  if (!match) return []
  const selector = (key: 'namespaceSelector' | 'objectSelector', value: LabelSelector | undefined): FieldError[] => (value ? checkLabelSelector(`${at}.${key}`, value) : [required(`${at}.${key}`)])
  return [
    ...(match.matchPolicy === undefined ? [required(`${at}.matchPolicy`)] : oneOf(`${at}.matchPolicy`, match.matchPolicy, MATCH_POLICIES, 'given')),
    ...selector('namespaceSelector', match.namespaceSelector),
    ...selector('objectSelector', match.objectSelector),
    ...(match.resourceRules ?? []).flatMap((rule, i) => validateNamedRule(`${at}.resourceRules[${i}]`, rule)),
    ...(match.excludeResourceRules ?? []).flatMap((rule, i) => validateNamedRule(`${at}.excludeResourceRules[${i}]`, rule)),
  ]
}

/** Names and presence; that an expression compiles is checked where CEL is. */
export function validateMatchConditions(at: string, conditions: readonly MatchCondition[] | undefined): FieldError[] {
  const out: FieldError[] = []
  const list = conditions ?? []
  if (list.length > MATCH_CONDITIONS_MAX) out.push(tooMany(at, list.length, MATCH_CONDITIONS_MAX))
  const seen = new Set<string>()
  for (const [i, { name, expression }] of list.entries()) {
    if (!expression?.trim()) out.push(required(`${at}[${i}].expression`))
    out.push(...(name ? named(`${at}[${i}].name`, name, checkQualifiedName) : [required(`${at}[${i}].name`)]))
    if (name && seen.has(name)) out.push(duplicate(`${at}[${i}].name`, name))
    seen.add(name)
  }
  return out
}

export function validateParamKind(at: string, kind: ParamKind): FieldError[] {
  const out: FieldError[] = []
  const apiVersion = kind.apiVersion ?? ''
  const parts = apiVersion === '/' ? ['', ''] : apiVersion.split('/')
  if (apiVersion === '') out.push(required(`${at}.apiVersion`))
  else if (parts.length > 2) out.push(invalid(`${at}.apiVersion`, apiVersion, `unexpected GroupVersion string: ${apiVersion}`))
  else {
    const version = parts.at(-1) ?? ''
    const group = parts.length === 2 ? (parts[0] ?? '') : ''
    const badGroup = group === '' ? [] : checkDnsSubdomain(group)
    if (badGroup.length > 0) out.push(invalid(`${at}.apiVersion`, group, badGroup.join(',')))
    const badVersion = version === '' ? [] : checkDns1035Label(version)
    if (version === '') out.push(invalid(`${at}.apiVersion`, apiVersion, 'version must be specified'))
    else if (badVersion.length > 0) out.push(invalid(`${at}.apiVersion`, version, badVersion.join(',')))
  }
  const badKind = kind.kind ? checkDns1035Label(kind.kind.toLowerCase()) : []
  if (!kind.kind) out.push(required(`${at}.kind`))
  else if (badKind.length > 0) out.push(invalid(`${at}.kind`, kind.kind, `may have mixed case, but should otherwise match: ${badKind.join(',')}`))
  return out
}

export function validateParamRef(at: string, param: ParamRef | undefined): FieldError[] {
  if (!param) return []
  const out: FieldError[] = []
  const both = !!param.name && param.selector !== undefined
  if (param.name) out.push(...named(`${at}.name`, param.name, checkPathSegment))
  if (both) out.push(forbidden(`${at}.name`, 'name and selector are mutually exclusive'))
  if (param.selector) out.push(...checkLabelSelector(`${at}.selector`, param.selector))
  if (both) out.push(forbidden(`${at}.selector`, 'name and selector are mutually exclusive'))
  if (!param.name && !param.selector) out.push(required(at, 'one of name or selector must be specified'))
  return [...out, ...oneOf(`${at}.parameterNotFoundAction`, param.parameterNotFoundAction, ['Deny', 'Allow'], 'required')]
}
