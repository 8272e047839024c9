/**
 * Networks of Services (KEP-1880): each gets a finalizer and is told ready; one that is being deleted stays as long as it
 * alone covers the address of a Service. Pure.
 */
import type { ServiceCIDR, Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'

export const FINALIZER = 'networking.k8s.io/service-cidr-finalizer'
const READY = { type: 'Ready', status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' } as const
const TERMINATING = { type: 'Ready', status: 'False', reason: 'Terminating', message: 'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR' } as const

export interface ServiceCidrView {
  cidr: Stored<ServiceCIDR>
  /** Addresses in use that no other network covers. */
  held: number
}

export type ServiceCidrAction =
  | { kind: 'addFinalizer' }
  | { kind: 'removeFinalizer' }
  | { kind: 'writeCondition'; condition: { type: string; status: string; reason: string; message: string } }

export function decideServiceCidr({ cidr, held }: ServiceCidrView): Decision<ServiceCidrAction> {
  const hasFinalizer = (cidr.metadata.finalizers ?? []).includes(FINALIZER)
  const ready = cidr.status?.conditions?.find((c) => c.type === 'Ready')
  if (cidr.metadata.deletionTimestamp === undefined) {
    const actions: ServiceCidrAction[] = []
    if (!hasFinalizer) actions.push({ kind: 'addFinalizer' })
    if (ready?.status !== 'True') actions.push({ kind: 'writeCondition', condition: READY })
    return actions.length === 0 ? nothing('ready') : { actions, because: 'a new network of Services' }
  }
  if (!hasFinalizer) return nothing('somebody else holds it')
  if (held === 0) return { actions: [{ kind: 'removeFinalizer' }], because: 'no address needs it' }
  return ready?.status === 'False' ? nothing(`${held} addresses need it`) : { actions: [{ kind: 'writeCondition', condition: TERMINATING }], because: `${held} addresses need it` }
}
