/** The same owner said twice is kept once, and told of (upstream `dedupOwnerReferencesAndAddWarning`). */
import type { ObjectMeta } from '#api/types/index.ts'
import { equalJson } from '../storage/equal.ts'
import type { Call } from './call.ts'

type Owners = NonNullable<ObjectMeta['ownerReferences']>

/** Changes `meta`. `admitted`: mutating admission is over; a PATCH is looked at only then. */
export function dropRepeatedOwners(call: Pick<Call, 'warn'>, meta: ObjectMeta, admitted: boolean): void {
  const owners = meta.ownerReferences
  if (owners === undefined || owners.length < 2) return
  const byUid = new Map<string, Owners>()
  const repeated: string[] = []
  const kept = owners.filter((owner) => {
    const same = byUid.get(owner.uid) ?? []
    if (same.some((other) => equalJson(other, owner))) {
      repeated.push(owner.uid)
      return false
    }
    byUid.set(owner.uid, [...same, owner])
    return true
  })
  if (repeated.length === 0) return
  meta.ownerReferences = kept
  call.warn(`.metadata.ownerReferences contains duplicate entries${admitted ? ' after mutating admission happens' : ''}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${repeated.join(', ')}`)
}
