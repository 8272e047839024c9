/** Whether the server behind an APIService can be used, in upstream's reasons and messages (kube-aggregator `remote_available_controller`). Pure. */
import type { APIService, EndpointSlice, Service } from '#api/types/index.ts'
import { timestamp } from '../storage/object-meta.ts'
import { AVAILABLE, type Backend } from './api-services.ts'

export interface Verdict { status: 'True' | 'False'; reason: string; message: string }

export const PASSED: Verdict = { status: 'True', reason: 'Passed', message: 'all checks passed' }
export const failedDiscovery = (message: string): Verdict => ({ status: 'False', reason: 'FailedDiscoveryCheck', message })

/** What can be told without asking it. Undefined: ask it. */
export function decideReachable({ service: { namespace, name, port } }: Backend, service: Service | undefined, slices: readonly EndpointSlice[]): Verdict | undefined {
  const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message })
  const where = `service/${name} in ${JSON.stringify(namespace)}`
  if (!service) return no('ServiceNotFound', `${where} is not present`)
  if ((service.spec?.type ?? 'ClusterIP') !== 'ClusterIP') return undefined
  const found = (service.spec?.ports ?? []).find((p) => p.port === port)
  if (!found) return no('ServicePortError', `${where} is not listening on port ${port}`)
  if (slices.length === 0) return no('EndpointsNotFound', `cannot find endpointslices for ${where}`)
  const portName = found.name ?? ''
  const has = slices.some((slice) => (slice.endpoints ?? []).some((e) => e.conditions?.ready !== false) && (slice.ports ?? []).some((p) => (p.name ?? '') === portName && p.port !== undefined))
  return has ? undefined : no('MissingEndpoints', `endpointslices for ${where} have no addresses with port name ${JSON.stringify(portName)}`)
}

/** The status to write, or undefined when it says so already. The time moves only when the status does. */
export function nextStatus(apiService: APIService, verdict: Verdict, nowMs: number): APIService['status'] | undefined {
  const conditions = apiService.status?.conditions ?? []
  const before = conditions.find((c) => c.type === AVAILABLE)
  if (before?.status === verdict.status && before.reason === verdict.reason && before.message === verdict.message) return undefined
  const lastTransitionTime = before?.status === verdict.status && before.lastTransitionTime !== undefined ? before.lastTransitionTime : timestamp(nowMs)
  return { ...apiService.status, conditions: [...conditions.filter((c) => c.type !== AVAILABLE), { type: AVAILABLE, ...verdict, lastTransitionTime }] }
}
