/** The union the API server asks: privileged group, Node authorizer, RBAC, a webhook. The first that allows decides; only the webhook, which is last, could forbid. */
import type { Authorizer } from '../auth.ts'
import type { AskAuthorizationWebhook } from '../webhook-client/index.ts'
import type { NodeAuthorizer } from './node-authorizer.ts'
import type { RbacAuthorizer } from './rbac.ts'

/** May do anything, whatever the roles say: how the server itself works before a single role is stored. */
export const PRIVILEGED_GROUP = 'system:masters'

export function createAuthorizer(parts: { rbac: RbacAuthorizer; node: NodeAuthorizer; webhook?: AskAuthorizationWebhook | undefined }): Authorizer {
  return {
    async authorize(attributes) {
      if (attributes.user.groups.includes(PRIVILEGED_GROUP)) return { allowed: true, reason: '' }
      const byNode = parts.node.check(attributes)
      if (byNode.allowed) return byNode
      const byRbac = await parts.rbac.authorize(attributes)
      if (byRbac.allowed) return byRbac
      const byWebhook = await parts.webhook?.(attributes)
      if (byWebhook?.decision === 'allow') return { allowed: true, reason: byWebhook.reason }
      return { allowed: false, reason: [byNode.reason, byRbac.reason, byWebhook?.reason ?? ''].filter((r) => r !== '').join(', ') }
    },
    async rulesFor(user, namespace) {
      if (user.groups.includes(PRIVILEGED_GROUP)) {
        return { resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }], incomplete: false }
      }
      const rules = await parts.rbac.rulesFor(user, namespace)
      // What the Node authorizer and a webhook permit cannot be listed: upstream says so by `incomplete`.
      return { ...rules, incomplete: rules.incomplete || parts.node.isNode(user) || parts.webhook !== undefined }
    },
  }
}
