/** Kinds that are asked, not kept: a row whose kind is here is served by its review instead of the store. */
import type { Authenticator, Authorizer } from '../auth.ts'
import type { KindRow } from '../kind.ts'
import type { Verb } from '../verbs/call.ts'
import { reviewAccess, reviewRules } from './access.ts'
import { reviewSelf, reviewToken } from './identity.ts'

export function reviewOf(authenticator: Authenticator, authorizer: Authorizer): (row: KindRow) => Verb | undefined {
  const reviews: Readonly<Record<string, Verb>> = {
    'authorization.k8s.io/subjectaccessreviews': (call) => reviewAccess(call, authorizer),
    'authorization.k8s.io/localsubjectaccessreviews': (call) => reviewAccess(call, authorizer),
    'authorization.k8s.io/selfsubjectaccessreviews': (call) => reviewAccess(call, authorizer),
    'authorization.k8s.io/selfsubjectrulesreviews': (call) => reviewRules(call, authorizer),
    'authentication.k8s.io/tokenreviews': (call) => reviewToken(call, authenticator),
    'authentication.k8s.io/selfsubjectreviews': reviewSelf,
  }
  return ({ ref }) => (ref.group.startsWith('auth') ? reviews[`${ref.group}/${ref.resource}`] : undefined)
}
