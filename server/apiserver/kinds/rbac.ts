/** Roles and their bindings. Escalation is the authorizer's affair; here are shape and immutability. */
import type { ClusterRole, ClusterRoleBinding, KubeObject, PolicyRule, RbacV1Subject, Role, RoleBinding, RoleRef } from '#api/types/index.ts'
import { checkDnsSubdomain, checkPathSegment } from '#api/types/index.ts'
import { type FieldError, invalid, notSupported, required } from '../field-error.ts'
import type { Column, KindStrategy } from '../kind.ts'
import { checkLabelSelector, named, setDefault } from './check.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, createdAtColumn, nameColumn, wide } from './table-columns.ts'

const GROUP = 'rbac.authorization.k8s.io'

export const roleStrategy: KindStrategy<Role> = {
  nameRule: 'path-segment',
  generation: false,
  validate: (role) => validateRules(role.rules ?? [], true),
  validateUpdate: (role) => validateRules(role.rules ?? [], true),
  columns: [nameColumn(), createdAtColumn()],
}

export const clusterRoleStrategy: KindStrategy<ClusterRole> = {
  nameRule: 'path-segment',
  generation: false,
  validate: validateClusterRole,
  validateUpdate: validateClusterRole,
  columns: [nameColumn(), createdAtColumn()],
}

export const roleBindingStrategy: KindStrategy<RoleBinding> = bindingStrategy<RoleBinding>(['Role', 'ClusterRole'])
export const clusterRoleBindingStrategy: KindStrategy<ClusterRoleBinding> = bindingStrategy<ClusterRoleBinding>(['ClusterRole'])

function validateClusterRole(role: ClusterRole): FieldError[] {
  const out = validateRules(role.rules ?? [], false)
  if (!role.aggregationRule) return out
  const selectors = role.aggregationRule.clusterRoleSelectors ?? []
  if (selectors.length === 0) out.push(required('aggregationRule.clusterRoleSelectors', 'at least one clusterRoleSelector required if aggregationRule is non-nil'))
  return [...out, ...selectors.flatMap((s, i) => {
    const wrong = checkLabelSelector(`aggregationRule.clusterRoleSelectors[${i}]`, s)
    // Upstream shows what it made of it, which is nothing.
    return wrong.length === 0 ? [] : [...wrong, invalid(`aggregationRule.clusterRoleSelectors[${i}]`, null, 'invalid label selector.')]
  })]
}

function validateRules(rules: readonly PolicyRule[], namespaced: boolean): FieldError[] {
  return rules.flatMap((rule, i) => {
    const at = `rules[${i}]`
    const out: FieldError[] = []
    if ((rule.verbs ?? []).length === 0) out.push(required(`${at}.verbs`, 'verbs must contain at least one value'))
    if ((rule.nonResourceURLs ?? []).length > 0) {
      if (namespaced) out.push(invalid(`${at}.nonResourceURLs`, rule.nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'))
      if ((rule.apiGroups ?? []).length + (rule.resources ?? []).length + (rule.resourceNames ?? []).length > 0) out.push(invalid(`${at}.nonResourceURLs`, rule.nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs'))
      return out
    }
    if ((rule.apiGroups ?? []).length === 0) out.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'))
    if ((rule.resources ?? []).length === 0) out.push(required(`${at}.resources`, 'resource rules must supply at least one resource'))
    return out
  })
}

type Binding = KubeObject & { roleRef: RoleRef; subjects?: RbacV1Subject[] }

function bindingStrategy<T extends Binding>(kinds: readonly string[]): KindStrategy<T> {
  return {
    nameRule: 'path-segment',
    generation: false,
    defaults(binding) {
      if (binding.roleRef) setDefault(binding.roleRef, 'apiGroup', GROUP)
      for (const subject of binding.subjects ?? []) {
        if (subject.kind === 'User' || subject.kind === 'Group') setDefault(subject, 'apiGroup', GROUP)
        else if (subject.apiGroup === '') delete subject.apiGroup
      }
    },
    validate: (binding) => validateBinding(binding, kinds),
    validateUpdate: (binding, old) => [
      ...(semanticEqual(binding.roleRef, old.roleRef) ? [] : [invalid('roleRef', binding.roleRef, 'cannot change roleRef')]),
      ...validateBinding(binding, kinds),
    ],
    columns: bindingColumns<T>(),
  }
}

function validateBinding(binding: Binding, kinds: readonly string[]): FieldError[] {
  const out: FieldError[] = []
  const ref = binding.roleRef ?? { apiGroup: '', kind: '', name: '' }
  if (ref.apiGroup !== GROUP) out.push(notSupported('roleRef.apiGroup', ref.apiGroup, [GROUP]))
  if (!kinds.includes(ref.kind)) out.push(notSupported('roleRef.kind', ref.kind, kinds))
  out.push(...(ref.name ? named('roleRef.name', ref.name, checkPathSegment) : [required('roleRef.name')]))
  const clusterScoped = kinds.length === 1
  for (const [i, s] of (binding.subjects ?? []).entries()) out.push(...validateSubject(`subjects[${i}]`, s, clusterScoped))
  return out
}

function validateSubject(at: string, subject: RbacV1Subject, clusterScoped: boolean): FieldError[] {
  const out: FieldError[] = subject.name ? [] : [required(`${at}.name`)]
  switch (subject.kind) {
    case 'ServiceAccount':
      if (subject.name) out.push(...named(`${at}.name`, subject.name, checkDnsSubdomain))
      if (subject.apiGroup) out.push(notSupported(`${at}.apiGroup`, subject.apiGroup, ['']))
      if (clusterScoped && !subject.namespace) out.push(required(`${at}.namespace`))
      break
    case 'User':
    case 'Group':
      if (subject.apiGroup !== GROUP) out.push(notSupported(`${at}.apiGroup`, subject.apiGroup ?? '', [GROUP]))
      break
    default:
      out.push(notSupported(`${at}.kind`, subject.kind, ['ServiceAccount', 'User', 'Group']))
  }
  return out
}

function bindingColumns<T extends Binding>(): Column<T>[] {
  const of = (binding: T, kind: string): string => (binding.subjects ?? []).filter((s) => s.kind === kind).map((s) => (kind === 'ServiceAccount' ? `${s.namespace ?? ''}/${s.name}` : s.name)).join(', ')
  return [
    nameColumn(),
    column('Role', 'RoleRef can only reference a ClusterRole in the global namespace or a Role in the namespace.', (o) => `${o.roleRef.kind}/${o.roleRef.name}`),
    ageColumn(),
    wide('Users', 'Users in the roleBinding', (o) => of(o, 'User')),
    wide('Groups', 'Groups in the roleBinding', (o) => of(o, 'Group')),
    wide('ServiceAccounts', 'ServiceAccounts in the roleBinding', (o) => of(o, 'ServiceAccount')),
  ]
}
