/**
 * Resource claims of pods (KEP-4381): prepared by their drivers before a pod's sandbox starts, unprepared once nothing of it runs any more. What is about to
 * be prepared is on disk before a driver hears of it: whatever happens then, it is unprepared some day.
 */
import { RESOURCE_CLAIMS, type Container, type Pod, type ResourceStatus, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import type { Log } from '#base/log.ts'
import { createHistogram } from '../stats/histogram.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { cdiDevicesOf, claimedResource, claimRefusal, claimsOfPod, claimStatuses, driversOf, requestsOf, type ClaimedResource } from './claims.ts'
import type { DraDrivers } from './drivers.ts'
import { differs, expiresInMs, healthOf, takeHealth, type DriverHealth } from './health.ts'
import { DURATION_BOUNDS, IN_USE_HELP, OPERATIONS_HELP } from './metrics.ts'
import type { ClaimRef, ClaimResults } from './plugin.ts'
import { readClaims, writeClaims, type Claim, type ClaimDevice } from './state.ts'

export type ReadClaim = (name: string) => Promise<Stored<ResourceV1ResourceClaim> | undefined>

export interface ClaimManager {
  /** Makes the claims of a pod ready for its containers. What is ready is not made so again. Throws CLAIMS_UNPREPARED, in upstream's words. */
  prepare(pod: Stored<Pod>, read: ReadClaim, signal?: AbortSignal): Promise<void>
  /** Whether all claims of the pod are known to be its own: not so after what was kept of them was lost. */
  holdsAll(pod: Stored<Pod>): boolean
  /** Nothing of it runs any more. Throws CLAIMS_UNPREPARED: it is to be tried again. */
  unprepare(podUid: string): Promise<void>
  /** Something is or may be prepared for it: it has not ended before that is undone. */
  holds(podUid: string): boolean
  /** Names that the container's runtime knows (CDI). Throws CLAIMS_UNPREPARED. */
  forContainer(pod: Stored<Pod>, container: Container): readonly string[]
  /** All devices of the claims that a container names. */
  resourcesOf(pod: Stored<Pod>, container: Container): readonly ClaimedResource[]
  /** By container. */
  statuses(pod: Stored<Pod>): ReadonlyMap<string, readonly ResourceStatus[]>
  /** Unprepares what pods have that are not among these. */
  reconcile(livePodUids: ReadonlySet<string>): Promise<void>
  metrics(): MetricFamily[]
  close(): void
}

export interface ClaimManagerDeps {
  /** The kubelet's root directory. */
  directory: string
  drivers: Pick<DraDrivers, 'get' | 'onHealth'>
  /** Devices of these pods are not as they were. */
  onHealth: (podUids: ReadonlySet<string>) => void
  clock: Clock
  log: Log
}

const keyOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`
const failed = (message: string, cause?: unknown): CodedError => new CodedError('CLAIMS_UNPREPARED', message, { cause })

export async function openClaimManager({ directory, drivers, onHealth, clock, log }: ClaimManagerDeps): Promise<ClaimManager> {
  const claims = new Map<string, Claim>()
  for (const claim of await readClaims(directory, log)) claims.set(keyOf(claim), claim)
  /** By this agent, in this life: what a machine had before it was started anew it may not have any more. */
  const prepared = new Set<string>()
  const locks = new KeyedLock()
  const health = new Map<string, DriverHealth>()
  const state: { written: string; writing: Promise<void>; cancelExpiry: () => void } = { written: JSON.stringify([...claims.values()]), writing: Promise.resolve(), cancelExpiry: () => {} }
  const operations = createHistogram({ name: 'dra_operations_duration_seconds', help: OPERATIONS_HELP, bounds: DURATION_BOUNDS, labels: ['operation_name', 'is_error'] })

  const keep = async (what: string): Promise<void> => {
    const written = state.writing.then(async () => {
      const all = [...claims.values()]
      const text = JSON.stringify(all)
      if (text === state.written) return
      await writeClaims(directory, all)
      state.written = text
    })
    state.writing = written.catch(() => { /* whoever asked hears of it */ })
    await written.catch((error: unknown) => { throw failed(`checkpoint ResourceClaim ${what}: ${asError(error).message}`, error) })
  }

  /** In one order for all, so that nobody waits for somebody who waits for him. */
  const locked = <T>(keys: readonly string[], work: () => Promise<T>): Promise<T> => {
    const [key, ...rest] = keys
    return key === undefined ? work() : locks.run(key, () => locked(rest, work))
  }
  const inOrder = (keys: Iterable<string>): string[] => [...new Set(keys)].toSorted()

  const timed = async (operation_name: string, what: string, work: () => Promise<void>): Promise<void> => {
    const began = clock.monotonicMs()
    const done = (isError: boolean) => operations.observe((clock.monotonicMs() - began) / 1000, { operation_name, is_error: String(isError) })
    try {
      await work()
      done(false)
    } catch (cause) {
      done(true)
      throw failed(`${what} dynamic resources: ${asError(cause).message}`, cause)
    }
  }

  const ofPod = (uid: string): Claim[] => claims.values().filter(({ pods }) => pods.includes(uid)).toArray()
  const claimOf = (pod: Stored<Pod>, name: string): Claim | undefined => claims.get(keyOf({ namespace: pod.metadata.namespace ?? '', name }))

  const readAll = async (pod: Stored<Pod>, read: ReadClaim): Promise<Stored<ResourceV1ResourceClaim>[]> => {
    const named = claimsOfPod(pod)
    if (!named.ok) throw failed(named.message)
    const found: Stored<ResourceV1ResourceClaim>[] = []
    for (const one of named.claims) {
      const claim = await read(one.name).catch((error: unknown) => { throw failed(`fetch ResourceClaim ${one.name}: ${asError(error).message}`, error) })
      if (!claim) throw failed(`fetch ResourceClaim ${one.name}: ${RESOURCE_CLAIMS.resource}.${RESOURCE_CLAIMS.group} "${one.name}" not found`)
      const refusal = claimRefusal(pod, claim, one)
      if (refusal !== undefined) throw failed(refusal)
      // A node whose driver is away is not as it should be, even where the claim is ready.
      for (const driver of driversOf(claim)) drivers.get(driver)
      found.push(claim)
    }
    return found
  }

  const refer = (pod: Stored<Pod>, claim: Stored<ResourceV1ResourceClaim>): Claim => {
    const { namespace = '', name, uid } = claim.metadata
    const known = claims.get(keyOf({ namespace, name }))
    if (known && known.uid !== uid) throw failed(`old ResourceClaim with same name ${name} and different UID ${known.uid} still exists (previous pod force-deleted?!)`)
    const before = known ?? { namespace, name, uid, pods: [], drivers: Object.fromEntries(driversOf(claim).map((driver) => [driver, []])) }
    const after = before.pods.includes(pod.metadata.uid) ? before : { ...before, pods: [...before.pods, pod.metadata.uid] }
    claims.set(keyOf(after), after)
    return after
  }

  const prepareClaims = async (wanted: readonly Claim[], signal: AbortSignal | undefined): Promise<void> => {
    for (const [driver, asked] of batches(wanted)) {
      const answered = checked('NodePrepareResources', asked, await drivers.get(driver).prepare(asked.map(refOf), signal).catch((error: unknown) => { throw failed(`NodePrepareResources: ${asError(error).message}`, error) }))
      for (const claim of asked) {
        const devices = answered.get(claim.uid)?.devices ?? []
        const current = claims.get(keyOf(claim)) ?? claim
        const told = devices.map((d): ClaimDevice => ({ pool: d.poolName, device: d.deviceName, share: d.shareId, requests: d.requestNames, cdi: d.cdiDeviceIds }))
        claims.set(keyOf(claim), { ...current, drivers: { ...current.drivers, [driver]: told } })
      }
    }
    for (const claim of wanted) prepared.add(keyOf(claim))
  }

  const unprepareClaims = async (wanted: readonly Claim[]): Promise<void> => {
    for (const [driver, asked] of batches(wanted)) {
      checked('NodeUnprepareResources', asked, await drivers.get(driver).unprepare(asked.map(refOf)).catch((error: unknown) => { throw failed(`NodeUnprepareResources: ${asError(error).message}`, error) }))
    }
  }

  const unprepare = (uid: string): Promise<void> => locked(inOrder(ofPod(uid).map(keyOf)), async () => {
    const held = ofPod(uid)
    // Others use it still.
    const shared = held.filter(({ pods }) => pods.length > 1)
    const last = held.filter(({ pods }) => pods.length === 1)
    await unprepareClaims(last)
    for (const { namespace, name } of shared) {
      const claim = claims.get(keyOf({ namespace, name }))
      if (claim) claims.set(keyOf(claim), { ...claim, pods: claim.pods.filter((other) => other !== uid) })
    }
    for (const claim of last) {
      claims.delete(keyOf(claim))
      prepared.delete(keyOf(claim))
    }
    await keep('state')
  })

  const usersOf = (driver: string): Set<string> => new Set(claims.values().filter((claim) => driver in claim.drivers).flatMap(({ pods }) => pods))

  /** Those who have devices whose health will not count any more are looked at then. */
  const armExpiry = (): void => {
    state.cancelExpiry()
    const inMs = expiresInMs(health.values(), clock.monotonicMs())
    state.cancelExpiry = inMs === undefined ? () => {} : clock.after(inMs, () => {
      for (const [driver, known] of health) {
        const after = takeHealth(known, [], clock.monotonicMs())
        if (!differs(known, after)) continue
        health.set(driver, after)
        onHealth(usersOf(driver))
      }
      armExpiry()
    })
  }

  const off = drivers.onHealth((driver, devices) => {
    const before = health.get(driver) ?? new Map()
    const after: DriverHealth = devices ? takeHealth(before, devices, clock.monotonicMs()) : new Map()
    if (devices) health.set(driver, after)
    else health.delete(driver)
    armExpiry()
    if (differs(before, after)) onHealth(usersOf(driver))
  })

  return {
    prepare(pod, read, signal) {
      if (!hasClaims(pod)) return Promise.resolve()
      return timed('PrepareResources', 'prepare', async () => {
        // Nothing is changed before all is known to be in order: who cannot be prepared leaves nothing to undo.
        const found = await readAll(pod, read)
        await locked(inOrder(found.map(({ metadata: { namespace = '', name } }) => keyOf({ namespace, name }))), async () => {
          signal?.throwIfAborted()
          const wanted = found.map((claim) => refer(pod, claim))
          await keep('cache')
          await prepareClaims(wanted.filter((claim) => !prepared.has(keyOf(claim))), signal)
          await keep('state')
        })
      })
    },
    holdsAll(pod) {
      const named = claimsOfPod(pod)
      return named.ok && named.claims.every(({ name }) => claimOf(pod, name)?.pods.includes(pod.metadata.uid) ?? false)
    },
    async unprepare(uid) {
      if (ofPod(uid).length > 0) await timed('UnprepareResources', 'unprepare', () => unprepare(uid))
    },
    holds: (uid) => claims.values().some(({ pods }) => pods.includes(uid)),
    forContainer(pod, container) {
      const devices = [...requestsOf(pod, container)].flatMap(([name, requests]) => {
        const claim = claimOf(pod, name)
        if (!claim) throw failed(`internal error: unable to get claim info for ResourceClaim ${name} in namespace ${pod.metadata.namespace ?? ''}`)
        return cdiDevicesOf(claim, requests)
      })
      return [...new Set(devices)]
    },
    resourcesOf: (pod, container) => [...requestsOf(pod, container).keys()].flatMap((name) => claimOf(pod, name) ?? []).map(claimedResource),
    statuses(pod) {
      if (!hasClaims(pod)) return new Map()
      const nowMs = clock.monotonicMs()
      const of = (container: Container) => claimStatuses(pod, container, (name) => claimOf(pod, name), (driver, pool, device) => healthOf(health.get(driver), pool, device, nowMs))
      return new Map((pod.spec?.containers ?? []).map((container): [string, ResourceStatus[]] => [container.name, of(container)]).filter(([, told]) => told.length > 0))
    },
    async reconcile(live) {
      const gone = new Set(claims.values().flatMap(({ pods }) => pods).filter((uid) => !live.has(uid)))
      for (const uid of gone) await unprepare(uid).catch((error: unknown) => log.warn('claims of a pod that is gone cannot be unprepared, will try again', { pod: uid, error: asError(error) }))
    },
    metrics() {
      const ready = claims.entries().filter(([key]) => prepared.has(key)).map(([, claim]) => claim).toArray()
      const counts = new Map<string, number>([['<any>', ready.length]])
      for (const { drivers: of } of ready) for (const driver of Object.keys(of)) counts.set(driver, (counts.get(driver) ?? 0) + 1)
      return [operations.family(), { name: 'dra_resource_claims_in_use', help: IN_USE_HELP, type: 'gauge', samples: [...counts].map(([driver_name, value]) => ({ labels: { driver_name }, value })) }]
    },
    close() {
      state.cancelExpiry()
      off()
    },
  }
}

const hasClaims = (pod: Stored<Pod>): boolean => (pod.spec?.resourceClaims?.length ?? 0) > 0 || pod.status?.extendedResourceClaimStatus !== undefined

const refOf = ({ namespace, name, uid }: Claim): ClaimRef => ({ namespace, name, uid })

/** By driver. */
function batches(claims: readonly Claim[]): Map<string, Claim[]> {
  const asked = new Map<string, Claim[]>()
  for (const claim of claims) for (const driver of Object.keys(claim.drivers)) asked.set(driver, [...(asked.get(driver) ?? []), claim])
  return asked
}

/** Every claim must be answered, and no other. */
function checked<T extends { error: string }>(method: string, asked: readonly Claim[], answered: ClaimResults<T>): ClaimResults<T> {
  for (const [uid, result] of answered) {
    const claim = asked.find((c) => c.uid === uid)
    if (!claim) throw failed(`${method} returned result for unknown claim UID ${uid}`)
    if (result && result.error !== '') throw failed(`${method} failed for ResourceClaim ${claim.name}: ${result.error}`)
  }
  const skipped = asked.length - answered.size
  if (skipped > 0) throw failed(`${method} skipped ${skipped} ResourceClaims`)
  return answered
}
