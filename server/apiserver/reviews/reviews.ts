/** Kinds that are asked, not kept: a row whose kind is here is served by its review instead of the store. */
import { bindNamed } from '../subresources/binding.ts'
import type { Authenticator, Authorizer } from '../auth.ts'
import { negotiateObject } from '../http/negotiate.ts'
import type { KindRow } from '../kind.ts'
import { renderObject } from '../table/render.ts'
import type { Verb } from '../verbs/call.ts'
import { reviewAccess, reviewRules } from './access.ts'
import { componentStatuses } from './component-status.ts'
import { reviewSelf, reviewToken } from './identity.ts'
import { reviewRows } from './rows.ts'

export function reviewOf(authenticator: Authenticator, authorizer: Authorizer): (row: KindRow) => Verb | undefined {
  const reviews: Readonly<Record<string, Verb>> = {
    '/bindings': answered(bindNamed),
    '/componentstatuses': componentStatuses,
    'authorization.k8s.io/subjectaccessreviews': answered((call) => reviewAccess(call, authorizer)),
    'authorization.k8s.io/localsubjectaccessreviews': answered((call) => reviewAccess(call, authorizer)),
    'authorization.k8s.io/selfsubjectaccessreviews': answered((call) => reviewAccess(call, authorizer)),
    'authorization.k8s.io/selfsubjectrulesreviews': answered((call) => reviewRules(call, authorizer)),
    'authentication.k8s.io/tokenreviews': answered((call) => reviewToken(call, authenticator)),
    'authentication.k8s.io/selfsubjectreviews': answered(reviewSelf),
  }
  const byRow = new Map(reviewRows.map((row) => [row, reviews[`${row.ref.group}/${row.ref.resource}`]]))
  return (row) => byRow.get(row)
}

/** In the form that is accepted, of which a table is none: who cannot have it is told before anything is done. */
function answered(review: Verb): Verb {
  return async (call) => {
    const format = negotiateObject(call.headers['accept'], call.row.model, false)
    return renderObject(call, await review(call), format)
  }
}
