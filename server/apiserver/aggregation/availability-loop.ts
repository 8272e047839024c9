/**
 * Keeps the Available condition of APIServices that are served elsewhere. Looks when the APIService, its Service or its
 * endpoints change and every 30 s, as upstream: the network may fail without anybody writing that down. With no such
 * APIServices nothing runs.
 */
import { isReason, type Client } from '#api/client/client.ts'
import { ENDPOINT_SLICES, SERVICES, type APIService, type EndpointSlice, type Service } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Decision, Effects } from '#base/reconcile/action.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import type { KindCache } from '../watch/kind-cache.ts'
import { SERVICE_NAME_LABEL } from '../webhook-client/index.ts'
import { API_SERVICES, pathOf, type ApiServices, type Backend } from './api-services.ts'
import { decideReachable, failedDiscovery, nextStatus, PASSED, type Verdict } from './availability.ts'
import { askWhetherThere, urlOf, type BackendClient } from './backend-client.ts'
import { followChanges } from './follow-changes.ts'

export interface AvailabilityDeps {
  apiServices: ApiServices
  backends: BackendClient
  client: Client
  cacheOf: (kind: 'services' | 'endpointslices') => Promise<KindCache | undefined>
  clock: Clock
  random: Random
  log: Log
}

const RECHECK_MS = 30_000
/** After a failed discovery check the next one comes soon, then less often. */
const RETRY_MS_MIN = 250
/** Each meets another endpoint, most likely: one that answers is enough. */
const PROBES = 3

interface View { backend: Backend; verdict: Verdict; failures: number }
type Action = { kind: 'writeStatus'; status: NonNullable<APIService['status']> }

export async function runAvailability(deps: AvailabilityDeps, signal: AbortSignal): Promise<void> {
  const { apiServices, clock, random, client } = deps
  const failures = new Map<string, number>()
  const loop = createLoop<View, Action>({
    name: 'apiservice-availability',
    async observe(name, stop) {
      const backend = apiServices.backends().get(name)
      if (!backend) {
        failures.delete(name)
        return undefined
      }
      const verdict = await look(deps, backend, stop)
      const count = verdict.reason === 'FailedDiscoveryCheck' ? (failures.get(name) ?? 0) + 1 : 0
      failures.set(name, count)
      return { backend, verdict, failures: count }
    },
    decide: ({ backend, verdict, failures: count }, ctx): Decision<Action> => {
      const status = nextStatus(backend.apiService, verdict, ctx.nowMs)
      const waitMs = count > 0 ? Math.min(RECHECK_MS, RETRY_MS_MIN * 2 ** Math.min(count - 1, 16)) : RECHECK_MS
      return { actions: status ? [{ kind: 'writeStatus', status }] : [], wakeAtMs: ctx.nowMs + waitMs, because: `${verdict.reason}: ${verdict.message}` }
    },
    effects: ({ backend }): Effects<Action> => ({
      async writeStatus({ status }) {
        await client.update<APIService>(API_SERVICES, { ...backend.apiService, status }, { subresource: 'status' })
      },
    }),
    isOrdinary: (error) => isReason(error, 'Conflict', 'NotFound'),
  }, { clock, random, log: deps.log, workers: 2 })

  const all = (): void => { for (const name of apiServices.backends().keys()) loop.queue.add(name) }
  const ofService = (namespace: string, service: string): void => {
    for (const backend of apiServices.backends().values()) if (backend.service.namespace === namespace && backend.service.name === service) loop.queue.add(backend.name)
  }
  const stops: (() => void)[] = []
  const own = await apiServices.open()
  if (own) stops.push(followChanges(own, ({ name }) => { if (apiServices.backends().has(name) || failures.has(name)) loop.queue.add(name) }, all))
  const [services, slices] = await Promise.all([deps.cacheOf('services'), deps.cacheOf('endpointslices')])
  if (services) stops.push(followChanges(services, ({ namespace, name }) => ofService(namespace, name), all))
  if (slices) stops.push(followChanges(slices, ({ namespace, labels }) => { if (apiServices.backends().size > 0) ofService(namespace, labels?.[SERVICE_NAME_LABEL] ?? '') }, all))
  all()
  try {
    await loop.run(signal)
  } finally {
    for (const stop of stops) stop()
  }
}

async function look(deps: AvailabilityDeps, backend: Backend, signal: AbortSignal): Promise<Verdict> {
  const { namespace, name } = backend.service
  const service = await deps.client.get<Service>(SERVICES, name, namespace).catch((error: unknown) => {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  })
  const { items } = service ? await deps.client.list<EndpointSlice>(ENDPOINT_SLICES, { namespace, labelSelector: `${SERVICE_NAME_LABEL}=${name}` }) : { items: [] }
  return decideReachable(backend, service, items) ?? (await probe(deps, backend, signal))
}

async function probe({ backends, clock }: AvailabilityDeps, backend: Backend, signal: AbortSignal): Promise<Verdict> {
  const path = pathOf(backend)
  let failure = ''
  for (let attempt = 0; attempt < PROBES && !signal.aborted; attempt++) {
    // It brings no secret, and whoever owns the network can at most spoil the condition: nothing is verified, as upstream.
    const asked = await askWhetherThere({ client: backends, clock, signal }, { ...backend, insecure: true }, path)
    if (asked.ok) return PASSED
    failure = asked.message
  }
  return failedDiscovery(`failing or missing response from ${urlOf(backend, path)}: ${failure}`)
}
