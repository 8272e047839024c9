/** Kinds that are asked, not kept: a row whose kind is here is served by its review instead of the store. */
import { bindNamed } from '../subresources/binding.ts'
import type { Authenticator, Authorizer } from '../auth.ts'
import type { KindRow } from '../kind.ts'
import type { Verb } from '../verbs/call.ts'
import { reviewAccess, reviewRules } from './access.ts'
import { componentStatuses } from './component-status.ts'
import { reviewSelf, reviewToken } from './identity.ts'
import { reviewRows } from './rows.ts'

export function reviewOf(authenticator: Authenticator, authorizer: Authorizer): (row: KindRow) => Verb | undefined {
  const reviews: Readonly<Record<string, Verb>> = {
    '/bindings': bindNamed,
    '/componentstatuses': componentStatuses,
    'authorization.k8s.io/subjectaccessreviews': (call) => reviewAccess(call, authorizer),
    'authorization.k8s.io/localsubjectaccessreviews': (call) => reviewAccess(call, authorizer),
    'authorization.k8s.io/selfsubjectaccessreviews': (call) => reviewAccess(call, authorizer),
    'authorization.k8s.io/selfsubjectrulesreviews': (call) => reviewRules(call, authorizer),
    'authentication.k8s.io/tokenreviews': (call) => reviewToken(call, authenticator),
    'authentication.k8s.io/selfsubjectreviews': reviewSelf,
  }
  const byRow = new Map(reviewRows.map((row) => [row, reviews[`${row.ref.group}/${row.ref.resource}`]]))
  return (row) => byRow.get(row)
}
