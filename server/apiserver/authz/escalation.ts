/**
 * Nobody grants what they do not hold (upstream's RBAC escalation checks): who writes a role must have all its rules,
 * or the verb `escalate`; who binds one must have its rules, or the verb `bind` on it.
 */
import type { ClusterRole, KubeObject, PolicyRule, RoleBinding, UserInfo } from '#api/types/index.ts'
import type { AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import type { Authorizer } from '../auth.ts'
import { PRIVILEGED_GROUP } from './authorizer.ts'
import { compactRules, coversRules, ruleText } from './rules.ts'
import type { RbacAuthorizer } from './rbac.ts'

const GROUP = 'rbac.authorization.k8s.io'
const EVERYTHING: readonly PolicyRule[] = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { verbs: ['*'], nonResourceURLs: ['*'] }]

/** `authorizer` is the whole union: `escalate` and `bind` may come from anywhere. */
export function createEscalationPlugin(rbac: RbacAuthorizer, authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    async validate(request) {
      const isWrite = request.operation === 'CREATE' || request.operation === 'UPDATE'
      if (request.ref.group !== GROUP || !isWrite || !request.object || request.user.groups.includes(PRIVILEGED_GROUP)) return undefined
      switch (request.ref.resource) {
        case 'roles':
        case 'clusterroles': return checkRole(request, request.object, rbac, authorizer)
        case 'rolebindings':
        case 'clusterrolebindings': return checkBinding(request, request.object as RoleBinding, rbac, authorizer)
        default: return undefined
      }
    },
  }
}

async function checkRole(request: AdmissionRequest, object: KubeObject, rbac: RbacAuthorizer, authorizer: Authorizer): Promise<Refusal | undefined> {
  const role = object as ClusterRole
  const old = request.old as ClusterRole | undefined
  if (old && isSame(old.rules, role.rules) && isSame(old.aggregationRule, role.aggregationRule)) return undefined
  if (await may(authorizer, request.user, 'escalate', request.ref.resource, request.namespace, request.name)) return undefined
  const held = rbac.rulesOf(request.user, request.namespace)
  // Whatever will be labelled so later is gathered: only who may do everything can allow that.
  if (role.aggregationRule && !coversRules(held, EVERYTHING).covered) return refusal(request, 'must have cluster-admin privileges to use the aggregationRule')
  return grantProblem(request, held, role.rules ?? [], rbac)
}

async function checkBinding(request: AdmissionRequest, binding: RoleBinding, rbac: RbacAuthorizer, authorizer: Authorizer): Promise<Refusal | undefined> {
  const old = request.old as RoleBinding | undefined
  if (old && isSame(old.roleRef, binding.roleRef) && isSame(old.subjects, binding.subjects)) return undefined
  const kind = binding.roleRef?.kind
  const name = binding.roleRef?.name ?? ''
  // Any other kind is refused by validation.
  if (kind !== 'Role' && kind !== 'ClusterRole') return undefined
  const resource = kind === 'Role' ? 'roles' : 'clusterroles'
  if (await may(authorizer, request.user, 'bind', resource, request.namespace, name)) return undefined
  const rules = rbac.roleRules(kind, name, kind === 'Role' ? request.namespace : '')
  if (!rules) return { code: 404, reason: 'NotFound', message: `${request.ref.resource}.${GROUP} ${JSON.stringify(name)} not found`, about: { group: GROUP, resource: request.ref.resource, name } }
  return grantProblem(request, rbac.rulesOf(request.user, request.namespace), rules, rbac)
}

function grantProblem(request: AdmissionRequest, held: readonly PolicyRule[], wanted: readonly PolicyRule[], rbac: RbacAuthorizer): Refusal | undefined {
  const { covered, missing } = coversRules(held, wanted)
  if (covered) return undefined
  const groups = request.user.groups.map((g) => JSON.stringify(g)).join(' ')
  const problem = rbac.problemOf(request.user, request.namespace)
  const texts = [...new Set(compactRules(missing).map(ruleText))].toSorted()
  return refusal(request, `user ${JSON.stringify(request.user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${texts.join('\n')}${problem === undefined ? '' : `; resolution errors: ${problem}`}`)
}

function refusal(request: AdmissionRequest, why: string): Refusal {
  return { code: 403, reason: 'Forbidden', message: `${request.ref.resource}.${GROUP} ${JSON.stringify(request.name)} is forbidden: ${why}` }
}

async function may(authorizer: Authorizer, user: UserInfo, verb: string, resource: string, namespace: string, name: string): Promise<boolean> {
  return (await authorizer.authorize({ user, verb, resource: { group: GROUP, version: 'v1', resource, subresource: '', namespace, name } })).allowed
}

/** Both come from JSON with keys in the store's order; a reordered list counts as a change, which only costs the check. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null)
