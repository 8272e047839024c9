/** The same owner said twice is kept once, and told of (upstream `dedupOwnerReferencesAndAddWarning`). */
import type { ObjectMeta } from '#api/types/index.ts'
import type { Call } from './call.ts'

/** Changes `meta`. `admitted`: mutating admission is over; a PATCH is looked at only then. */
export function dropRepeatedOwners(call: Pick<Call, 'warn'>, meta: ObjectMeta, admitted: boolean): void {
  const owners = meta.ownerReferences
  if (owners === undefined || owners.length < 2) return
  const seen = new Set<string>()
  const repeated: string[] = []
  const kept = owners.filter((owner) => {
    // By its text, so that a great many are looked at once each.
    const text = JSON.stringify([owner.uid, owner.apiVersion, owner.kind, owner.name, owner.controller, owner.blockOwnerDeletion])
    const isRepeated = seen.has(text)
    if (isRepeated) repeated.push(owner.uid)
    else seen.add(text)
    return !isRepeated
  })
  if (repeated.length === 0) return
  meta.ownerReferences = kept
  call.warn(`.metadata.ownerReferences contains duplicate entries${admitted ? ' after mutating admission happens' : ''}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${repeated.join(', ')}`)
}
