/**
 * Who may do what: a chain of authorizers in the order that is configured. Each allows, forbids, or has no opinion; the first
 * that has one decides. Before all of them stands the privileged group.
 */
import type { UserInfo } from '#api/types/index.ts'
import type { Attributes, Authorizer, Verdict } from '../auth.ts'
import type { AskAuthorizationWebhook, Opinion } from '../webhook-client/index.ts'
import type { NodeAuthorizer } from './node-authorizer.ts'
import type { RbacAuthorizer } from './rbac.ts'

/** May do anything, whatever the roles say: how the server itself works before a single role is stored. */
export const PRIVILEGED_GROUP = 'system:masters'

export type Rules = Awaited<ReturnType<Authorizer['rulesFor']>>

/** One authorizer of the chain. */
export interface AuthorizerLink {
  authorize(attributes: Attributes): Verdict | Promise<Verdict>
  /** What it permits, as far as that can be listed. */
  rulesFor(user: UserInfo, namespace: string): Rules | Promise<Rules>
}

const EVERYTHING: Rules = { resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }], incomplete: false }
const NOTHING: Rules = { resourceRules: [], nonResourceRules: [], incomplete: false }
const NOT_LISTED: Rules = { ...NOTHING, incomplete: true }

export function createAuthorizer(chain: () => readonly AuthorizerLink[]): Authorizer {
  return {
    async authorize(attributes) {
      if (attributes.user.groups.includes(PRIVILEGED_GROUP)) return { allowed: true, reason: '' }
      const reasons: string[] = []
      const errors: string[] = []
      for (const link of chain()) {
        const answer = link.authorize(attributes)
        const verdict = answer instanceof Promise ? await answer : answer
        if (verdict.allowed || verdict.denied) return verdict
        if (verdict.reason !== '') reasons.push(verdict.reason)
        if (verdict.error !== undefined) errors.push(verdict.error)
      }
      return { allowed: false, reason: reasons.join('\n'), ...(errors.length > 0 && { error: errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]` }) }
    },
    async rulesFor(user, namespace) {
      const parts = await Promise.all(chain().map(async (link) => link.rulesFor(user, namespace)))
      const problems = parts.flatMap((p) => p.evaluationError ?? [])
      return {
        resourceRules: parts.flatMap((p) => p.resourceRules), nonResourceRules: parts.flatMap((p) => p.nonResourceRules), incomplete: parts.some((p) => p.incomplete),
        ...(problems.length > 0 && { evaluationError: problems.length === 1 ? (problems[0] ?? '') : `[${problems.join(', ')}]` }),
      }
    },
  }
}

export const nodeLink = (node: NodeAuthorizer): AuthorizerLink => ({
  authorize: (attributes) => node.check(attributes),
  rulesFor: (user) => (node.isNode(user) ? { ...NOT_LISTED, evaluationError: 'node authorizer does not support user rule resolution' } : NOTHING),
})

export const rbacLink = (rbac: RbacAuthorizer): AuthorizerLink => ({
  authorize: (attributes) => rbac.authorize(attributes),
  rulesFor: (user, namespace) => rbac.rulesFor(user, namespace),
})

/** `failsClosed`: where the webhook cannot be asked, it forbids (failurePolicy Deny). `matches`: undefined: it is asked about everything. */
export function webhookLink(ask: AskAuthorizationWebhook, { failsClosed = false, matches }: { failsClosed?: boolean; matches?: ((attributes: Attributes) => Promise<{ matches: boolean } | { error: string }>) | undefined } = {}): AuthorizerLink {
  const failed = (error: string): Verdict => ({ allowed: false, reason: '', error, ...(failsClosed && { denied: true as const }) })
  const verdictOf = ({ decision, reason, failed: why }: Opinion): Verdict => {
    if (why !== undefined) return failed(why)
    return { allowed: decision === 'allow', reason, ...(decision === 'deny' && { denied: true as const }) }
  }
  return {
    async authorize(attributes) {
      const match = matches && await matches(attributes)
      if (match && 'error' in match) return failed(match.error)
      return match?.matches === false ? { allowed: false, reason: '' } : verdictOf(await ask(attributes))
    },
    rulesFor: () => ({ ...NOT_LISTED, evaluationError: 'webhook authorizer does not support user rule resolution' }),
  }
}

export const alwaysAllow: AuthorizerLink = { authorize: () => ({ allowed: true, reason: '' }), rulesFor: () => EVERYTHING }
export const alwaysDeny: AuthorizerLink = { authorize: () => ({ allowed: false, reason: 'Everything is forbidden.' }), rulesFor: () => NOTHING }
