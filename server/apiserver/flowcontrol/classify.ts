/** Which flow schema a request belongs to, and which flow of it. Pure. */
import type { FlowcontrolV1Subject as Subject, FlowSchema, PolicyRulesWithSubjects, UserInfo } from '#api/types/index.ts'

export interface RequestDigest {
  user: UserInfo
  /** As authorized: get list watch create ..., or the lower-case method of a path. */
  verb: string
  /** `namespace` of a request for a namespace itself is that namespace, as in upstream's RequestInfo. */
  resource?: { group: string; version: string; resource: string; subresource: string; namespace: string; name: string }
  path: string
}

/** A flow schema as requests are compared with it. */
export interface CompiledSchema {
  readonly name: string
  readonly uid: string
  readonly level: string
  readonly precedence: number
  matches(request: RequestDigest): boolean
  /** Requests with equal distinguishers are one flow. */
  distinguisher(request: RequestDigest): string
}

const SERVICE_ACCOUNT = 'system:serviceaccount:'

export function compileSchema(schema: FlowSchema): CompiledSchema {
  const { metadata, spec } = schema
  const rules = (spec?.rules ?? []).map(compileRule)
  const method = spec?.distinguisherMethod?.type
  return {
    name: metadata?.name ?? '', uid: metadata?.uid ?? '', level: spec?.priorityLevelConfiguration.name ?? '', precedence: spec?.matchingPrecedence ?? 0,
    matches: (request) => rules.some((rule) => rule(request)),
    distinguisher: method === 'ByUser' ? (r) => r.user.name : method === 'ByNamespace' ? (r) => r.resource?.namespace ?? '' : () => '',
  }
}

/** In the order they are asked: upstream's, by precedence, then by name. */
export function inMatchingOrder(schemas: readonly CompiledSchema[]): CompiledSchema[] {
  return schemas.toSorted((a, b) => a.precedence - b.precedence || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

type Matcher = (request: RequestDigest) => boolean

function compileRule({ subjects, resourceRules = [], nonResourceRules = [] }: PolicyRulesWithSubjects): Matcher {
  const who = subjects.map(compileSubject)
  const what: Matcher[] = resourceRules.map((rule) => {
    const [verbs, groups, names] = [oneOf(rule.verbs), oneOf(rule.apiGroups), oneOf(rule.resources)]
    const namespaces = oneOf(rule.namespaces ?? [])
    return ({ verb, resource }) => resource !== undefined && verbs(verb) && groups(resource.group)
      && names(resource.subresource === '' ? resource.resource : `${resource.resource}/${resource.subresource}`)
      && (resource.namespace === '' ? rule.clusterScope === true : namespaces(resource.namespace))
  })
  const where: Matcher[] = nonResourceRules.map((rule) => {
    const verbs = oneOf(rule.verbs)
    return ({ verb, path }) => verbs(verb) && rule.nonResourceURLs.some((url) => matchesUrl(url, path))
  })
  return (request) => who.some((matches) => matches(request.user)) && (request.resource ? what : where).some((matches) => matches(request))
}

function compileSubject({ kind, user, group, serviceAccount }: Subject): (user: UserInfo) => boolean {
  switch (kind) {
    case 'User': return ({ name }) => user !== undefined && (user.name === '*' || user.name === name)
    case 'Group': return ({ groups }) => group !== undefined && (group.name === '*' || groups.includes(group.name))
    case 'ServiceAccount': {
      const prefix = `${SERVICE_ACCOUNT}${serviceAccount?.namespace ?? ''}:`
      return ({ name }) => serviceAccount !== undefined && name.startsWith(prefix) && (serviceAccount.name === '*' || name.slice(prefix.length) === serviceAccount.name)
    }
    default: return () => false
  }
}

function oneOf(allowed: readonly string[]): (value: string) => boolean {
  return allowed.includes('*') ? () => true : (value) => allowed.includes(value)
}

function matchesUrl(url: string, path: string): boolean {
  return url === '*' || url === path || (url.endsWith('/*') && path.startsWith(url.slice(0, -1)))
}
