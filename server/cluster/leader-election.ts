/**
 * Work that only one server does at a time, as upstream's leader election has it: whoever holds a Lease of kube-system
 * works, renews it, and stops before anybody else may think that it is gone. Released at a clean stop.
 */
import { isReason, type Client, type Informer } from '#api/client/client.ts'
import { LEASES, type Lease, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'

/** Upstream's --leader-elect-lease-duration, --leader-elect-renew-deadline, --leader-elect-retry-period. */
export const LEASE_DURATION_SECONDS = 15
const RENEW_DEADLINE_MS = 10_000
const RETRY_MS = 2_000
/** client-go's JitterFactor: candidates do not all try at once. */
const JITTER = 1.2
/** What a stop spends on giving the Lease back. */
const RELEASE_MS_MAX = 2_000
const NAMESPACE = 'kube-system'

export interface ElectionOptions {
  client: Client
  /** Of the Leases in kube-system. */
  leases: Informer<Lease>
  name: 'kube-controller-manager' | 'kube-scheduler'
  /** Of this server, also after a restart: it takes its own Lease up again at once. */
  identity: string
  clock: Clock
  random: Random
  log: Log
}

/** As it was seen here: other servers' clocks are not looked at. */
export interface Observed { lease: Stored<Lease> | undefined; sinceMs: number }

export type ElectionStep =
  /** Nobody works: try to take it. */
  | { kind: 'acquire' }
  | { kind: 'wait'; untilMs: number; holder: string }

export function decideElection({ lease, sinceMs }: Observed, identity: string, nowMs: number): ElectionStep {
  const holder = lease?.spec?.holderIdentity ?? ''
  const untilMs = sinceMs + (lease?.spec?.leaseDurationSeconds ?? LEASE_DURATION_SECONDS) * 1000
  return holder === '' || holder === identity || nowMs >= untilMs ? { kind: 'acquire' } : { kind: 'wait', untilMs, holder }
}

/** `old`: what is replaced. */
export function heldLease(name: string, old: Stored<Lease> | undefined, identity: string, nowMs: number): Lease {
  const now = microTime(nowMs)
  const isOwn = old?.spec?.holderIdentity === identity
  return {
    apiVersion: 'coordination.k8s.io/v1', kind: 'Lease',
    metadata: { ...old?.metadata, name, namespace: NAMESPACE },
    spec: {
      ...old?.spec, holderIdentity: identity, leaseDurationSeconds: LEASE_DURATION_SECONDS, renewTime: now,
      acquireTime: isOwn ? (old?.spec?.acquireTime ?? now) : now,
      leaseTransitions: (old?.spec?.leaseTransitions ?? 0) + (old === undefined || isOwn ? 0 : 1),
    },
  }
}

/** As client-go's: nobody, for a second. */
export function releasedLease(old: Stored<Lease>, nowMs: number): Lease {
  const now = microTime(nowMs)
  return { ...old, spec: { ...old.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now, leaseTransitions: old.spec?.leaseTransitions ?? 0 } }
}

const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')

/** Until the signal aborts: works whenever it holds the Lease. `work` resolves soon after its own signal aborts; it rejects only when it cannot be done at all. */
export async function workWhenElected(options: ElectionOptions, work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
  const { client, leases, name, identity, clock, random } = options
  const log = options.log.with('leader-election', { lease: name })
  const key = `${NAMESPACE}/${name}`
  const observed: Observed = { lease: leases.get(key), sinceMs: clock.monotonicMs() }
  let wake = () => {}
  const unsubscribe = leases.onChange((_before, after) => {
    const lease = after ?? _before
    if (lease?.metadata.name !== name) return
    if (after?.metadata.resourceVersion !== observed.lease?.metadata.resourceVersion) Object.assign(observed, { lease: after, sinceMs: clock.monotonicMs() })
    wake()
  })
  /** Until something changes, or for so long. */
  const pause = async (ms: number): Promise<void> => {
    const woken = new AbortController()
    wake = () => woken.abort()
    await clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => { /* woken early is what was wanted */ })
    wake = () => {}
  }
  const put = async (lease: Lease, msMax: number): Promise<Stored<Lease>> => {
    const late = new AbortController()
    const cancel = clock.after(msMax, () => late.abort(new Error(`no answer within ${msMax} ms`)))
    const isNew = lease.metadata?.resourceVersion === undefined
    try {
      const answered = isNew ? client.create<Lease>(LEASES, lease, { signal: late.signal }) : client.update<Lease>(LEASES, lease, { signal: late.signal })
      const given = new Promise<never>((_resolve, reject) => late.signal.addEventListener('abort', () => reject(asError(late.signal.reason)), { once: true }))
      // In process nothing is cut off: the store may keep it for longer.
      return await Promise.race([answered, given])
    } finally {
      cancel()
    }
  }
  const jittered = () => RETRY_MS * (1 + random.next() * JITTER)

  /** Holds it until it is lost or the signal aborts; gives the last one written. */
  const hold = async (first: Stored<Lease>, lost: AbortController): Promise<Stored<Lease>> => {
    let last = first
    let renewedMs = clock.monotonicMs()
    while (!signal.aborted && !lost.signal.aborted) {
      await clock.sleep(RETRY_MS, AbortSignal.any([signal, lost.signal])).catch(() => { /* looked at above */ })
      if (signal.aborted || lost.signal.aborted) break
      const leftMs = renewedMs + RENEW_DEADLINE_MS - clock.monotonicMs()
      try {
        if (leftMs <= 0) throw new Error(`it could not be renewed for ${RENEW_DEADLINE_MS / 1000} s`)
        const current = observed.lease && observed.lease.metadata.uid === last.metadata.uid && observed.lease.spec?.holderIdentity === identity ? observed.lease : last
        const beganMs = clock.monotonicMs()
        last = await put(heldLease(name, isNewer(current, last) ? current : last, identity, clock.nowMs()), leftMs)
        renewedMs = beganMs
      } catch (error) {
        const holder = observed.lease?.spec?.holderIdentity
        const isTaken = isReason(error, 'Conflict', 'NotFound') && holder !== identity
        if (isTaken || leftMs <= 0) {
          log.warn('lost the Lease: what it stands for stops here', { holder, error: asError(error) })
          lost.abort()
        }
      }
    }
    return last
  }

  try {
    while (!signal.aborted) {
      const step = decideElection(observed, identity, clock.monotonicMs())
      if (step.kind === 'wait') {
        await pause(step.untilMs - clock.monotonicMs())
        continue
      }
      let held: Stored<Lease>
      try {
        held = await put(heldLease(name, observed.lease, identity, clock.nowMs()), RENEW_DEADLINE_MS)
      } catch (error) {
        log.debug('could not take the Lease', { error: asError(error) })
        await pause(jittered())
        continue
      }
      log.info('became leader', { identity })
      const lost = new AbortController()
      const failures: unknown[] = []
      const working = work(AbortSignal.any([signal, lost.signal])).catch((error: unknown) => {
        failures.push(error)
        lost.abort()
      })
      const last = await hold(held, lost)
      await working
      if (signal.aborted || failures.length > 0) await release(last)
      if (failures.length > 0) throw asError(failures[0])
    }
  } finally {
    unsubscribe()
  }

  async function release(last: Stored<Lease>): Promise<void> {
    const current = observed.lease && isNewer(observed.lease, last) ? observed.lease : last
    if (current.spec?.holderIdentity !== identity) return
    try {
      await put(releasedLease(current, clock.nowMs()), RELEASE_MS_MAX)
    } catch (error) {
      // Another server takes it over when it has ended.
      log.debug('could not give the Lease back', { error: asError(error) })
    }
  }
}

const isNewer = (a: Stored<Lease>, b: Stored<Lease>): boolean => Number(a.metadata.resourceVersion) > Number(b.metadata.resourceVersion)
