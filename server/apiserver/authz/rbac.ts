/**
 * Role-based access control. A user's rules are compiled once (bindings that apply to the name or a group, with their
 * roles' rules) and kept until any role or binding changes; a check then walks a short list.
 */
import type { PolicyRule, RbacV1Subject as Subject, UserInfo } from '#api/types/index.ts'
import type { Attributes, Authorizer, Verdict } from '../auth.ts'
import { isAllowedByRule } from './rules.ts'
import type { RbacSource } from './rbac-source.ts'

/** Users whose rules are kept; beyond that the one longest unused goes. A cluster has tens, a service account per workload. */
const COMPILED_MAX = 512

export interface BoundRule {
  rule: PolicyRule
  /** Upstream's words: `ClusterRoleBinding "x" of ClusterRole "y" to User "z"`. */
  source: string
}

export interface CompiledRules {
  cluster: readonly BoundRule[]
  byNamespace: ReadonlyMap<string, readonly BoundRule[]>
  /** Bindings to roles that do not exist, cluster-wide first. */
  errors: readonly { namespace: string; message: string }[]
}

export interface RbacAuthorizer extends Authorizer {
  /** All rules of a user in a namespace ('' for cluster scope), for the escalation check. */
  rulesOf(user: UserInfo, namespace: string): PolicyRule[]
  /** What kept some of them from being found, in Go's words; undefined: nothing. */
  problemOf(user: UserInfo, namespace: string): string | undefined
  /** A role's rules, or undefined when it does not exist. */
  roleRules(kind: 'Role' | 'ClusterRole', name: string, namespace: string): readonly PolicyRule[] | undefined
}

interface Grant { binding: string; kind: 'ClusterRoleBinding' | 'RoleBinding'; roleKind: 'Role' | 'ClusterRole'; roleName: string; namespace: string; subject: Subject }

export function createRbacAuthorizer(source: RbacSource): RbacAuthorizer {
  /** `u:<user>` or `g:<group>` → what is bound to it, in binding order. Built when first needed after a change. */
  let grants: Map<string, Grant[]> | undefined
  const compiled = new Map<string, CompiledRules>()
  source.onChange(() => {
    grants = undefined
    compiled.clear()
  })

  const compiledFor = (user: UserInfo): CompiledRules => {
    const key = JSON.stringify([user.name, user.groups])
    const known = compiled.get(key)
    if (known) {
      // Moves it to the end: the first is always the one longest unused.
      compiled.delete(key)
      compiled.set(key, known)
      return known
    }
    grants ??= indexGrants(source)
    const rules = compile(user, grants, source)
    if (compiled.size >= COMPILED_MAX) compiled.delete(compiled.keys().next().value ?? '')
    compiled.set(key, rules)
    return rules
  }

  const check = (a: Attributes): Verdict => {
    const rules = compiledFor(a.user)
    const namespace = a.resource?.namespace ?? ''
    const hit = rules.cluster.find((r) => isAllowedByRule(r.rule, a)) ?? rules.byNamespace.get(namespace)?.find((r) => isAllowedByRule(r.rule, a))
    if (hit) return { allowed: true, reason: `RBAC: allowed by ${hit.source}` }
    const text = problemIn(rules, namespace)
    return { allowed: false, reason: text === undefined ? '' : `RBAC: ${text}` }
  }

  const boundRules = (user: UserInfo, namespace: string): readonly BoundRule[] => {
    const rules = compiledFor(user)
    return [...rules.cluster, ...(namespace === '' ? [] : (rules.byNamespace.get(namespace) ?? []))]
  }

  return {
    authorize: (attributes) => Promise.resolve(check(attributes)),
    rulesFor(user, namespace) {
      const all = boundRules(user, namespace).map((r) => r.rule)
      const problem = problemIn(compiledFor(user), namespace)
      return Promise.resolve({
        resourceRules: all.filter((r) => r.resources?.length).map((r) => ({ verbs: [...r.verbs], apiGroups: [...(r.apiGroups ?? [])], resources: [...(r.resources ?? [])], ...(r.resourceNames?.length && { resourceNames: [...r.resourceNames] }) })),
        nonResourceRules: all.filter((r) => r.nonResourceURLs?.length).map((r) => ({ verbs: [...r.verbs], nonResourceURLs: [...(r.nonResourceURLs ?? [])] })),
        incomplete: problem !== undefined, ...(problem !== undefined && { evaluationError: problem }),
      })
    },
    problemOf: (user, namespace) => problemIn(compiledFor(user), namespace),
    rulesOf: (user, namespace) => boundRules(user, namespace).map((r) => r.rule),
    roleRules: (kind, name, namespace) => source.rules(kind, name, namespace),
  }
}

/** As Go prints an aggregate of errors. */
function problemIn({ errors }: CompiledRules, namespace: string): string | undefined {
  const texts = [...new Set(errors.filter((e) => e.namespace === '' || e.namespace === namespace).map((e) => e.message))]
  return texts.length > 1 ? `[${texts.join(', ')}]` : texts[0]
}

function indexGrants(source: RbacSource): Map<string, Grant[]> {
  const index = new Map<string, Grant[]>()
  const add = (grant: Omit<Grant, 'subject'>, subjects: readonly Subject[] | undefined) => {
    // Only the first subject that applies is named in reasons; the same binding twice under one key changes nothing.
    for (const subject of subjects ?? []) {
      const key = subjectKey(subject, grant.namespace)
      if (key === undefined) continue
      const list = index.get(key)
      if (list) list.push({ ...grant, subject })
      else index.set(key, [{ ...grant, subject }])
    }
  }
  for (const b of source.clusterRoleBindings()) {
    if (b.roleRef.kind === 'ClusterRole') add({ binding: b.metadata?.name ?? '', kind: 'ClusterRoleBinding', roleKind: 'ClusterRole', roleName: b.roleRef.name, namespace: '' }, b.subjects)
  }
  for (const b of source.roleBindings()) {
    const roleKind = b.roleRef.kind
    if (roleKind === 'Role' || roleKind === 'ClusterRole') add({ binding: b.metadata?.name ?? '', kind: 'RoleBinding', roleKind, roleName: b.roleRef.name, namespace: b.metadata?.namespace ?? '' }, b.subjects)
  }
  return index
}

function subjectKey(subject: Subject, bindingNamespace: string): string | undefined {
  switch (subject.kind) {
    case 'User': return `u:${subject.name}`
    case 'Group': return `g:${subject.name}`
    case 'ServiceAccount': {
      const namespace = subject.namespace !== undefined && subject.namespace !== '' ? subject.namespace : bindingNamespace
      return namespace === '' ? undefined : `u:system:serviceaccount:${namespace}:${subject.name}`
    }
    default: return undefined
  }
}

function compile(user: UserInfo, grants: ReadonlyMap<string, readonly Grant[]>, source: RbacSource): CompiledRules {
  const cluster: BoundRule[] = []
  const byNamespace = new Map<string, BoundRule[]>()
  const errors: { namespace: string; message: string }[] = []
  const seen = new Set<string>()
  for (const grant of [`u:${user.name}`, ...user.groups.map((g) => `g:${g}`)].flatMap((key) => grants.get(key) ?? [])) {
    const id = `${grant.namespace}/${grant.binding}`
    if (seen.has(id)) continue
    seen.add(id)
    const rules = source.rules(grant.roleKind, grant.roleName, grant.roleKind === 'Role' ? grant.namespace : '')
    if (!rules) {
      errors.push({ namespace: grant.namespace, message: `${grant.roleKind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(grant.roleName)} not found` })
      continue
    }
    const bound = rules.map((rule) => ({ rule, source: describe(grant) }))
    if (grant.namespace === '') cluster.push(...bound)
    else byNamespace.set(grant.namespace, [...(byNamespace.get(grant.namespace) ?? []), ...bound])
  }
  return { cluster, byNamespace, errors: errors.sort((a, b) => a.namespace.length - b.namespace.length) }
}

function describe(grant: Grant): string {
  const { subject } = grant
  const who = subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace !== undefined && subject.namespace !== '' ? subject.namespace : grant.namespace}` : subject.name
  const binding = grant.kind === 'RoleBinding' ? `${grant.binding}/${grant.namespace}` : grant.binding
  return `${grant.kind} ${JSON.stringify(binding)} of ${grant.roleKind} ${JSON.stringify(grant.roleName)} to ${subject.kind} ${JSON.stringify(who)}`
}
