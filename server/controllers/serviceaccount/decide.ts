/** Each living namespace has a ServiceAccount `default`. Pure. */
import type { Namespace, Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'

export interface ServiceAccountView { namespace: Stored<Namespace>; hasDefault: boolean }
export type ServiceAccountAction = { kind: 'createDefault'; namespace: string }

export function decideServiceAccount({ namespace, hasDefault }: ServiceAccountView): Decision<ServiceAccountAction> {
  if (namespace.metadata.deletionTimestamp !== undefined) return nothing('the namespace is being deleted')
  if (hasDefault) return nothing('there already')
  return { actions: [{ kind: 'createDefault', namespace: namespace.metadata.name }], because: 'no default ServiceAccount' }
}
