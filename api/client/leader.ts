/** Leader election over a coordination.k8s.io Lease, as client-go's: work runs on one holder at a time. */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { LEASES, type Lease, type Stored } from '../types/index.ts'
import { isReason, type Client } from './client.ts'

export interface LeaderOptions {
  /** Undefined: there is no rival (a single server): work runs at once and no Lease is written, so no disk is woken. */
  lease?: { name: string; namespace: string }
  /** Unique per process: `host_uuid`. */
  identity: string
  /** Upstream's defaults: 15 s, 10 s, 2 s. */
  leaseMs?: number
  renewMsMax?: number
  retryMs?: number
  clock: Clock
  random: Random
  log: Log
}

/**
 * Runs `work` whenever this process is the leader; its signal aborts when leadership is lost, and it is waited for
 * before trying again. Resolves when `signal` aborts and the lease has been given up.
 */
export async function runWhileLeader(client: Client, options: LeaderOptions, work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
  const { lease, clock, log } = options
  if (!lease) return work(signal)
  const leaseMs = options.leaseMs ?? 15_000
  const renewMsMax = options.renewMsMax ?? 10_000
  const retryMs = options.retryMs ?? 2_000
  /** What the rival last wrote, and when we saw it change: wall clocks of two boards need not agree. */
  let seen: { resourceVersion: string; atMs: number } | undefined
  let held: Stored<Lease> | undefined

  const pause = () => clock.sleep(retryMs * (1 + 0.2 * options.random.next()), signal).catch(() => { /* aborted: the loops look at the signal */ })

  /** One try to get or keep the lease. Throws when the API fails. */
  const maybeHold = async (): Promise<boolean> => {
    const now = microTime(clock.nowMs())
    let found: Stored<Lease>
    try {
      found = held ?? await client.get<Lease>(LEASES, lease.name, lease.namespace, signal)
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error
      held = await client.create<Lease>(LEASES, {
        apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { ...lease },
        spec: { holderIdentity: options.identity, leaseDurationSeconds: leaseMs / 1000, acquireTime: now, renewTime: now, leaseTransitions: 0 },
      }, { signal })
      return true
    }
    const holder = found.spec?.holderIdentity ?? ''
    if (seen?.resourceVersion !== found.metadata.resourceVersion) seen = { resourceVersion: found.metadata.resourceVersion, atMs: clock.monotonicMs() }
    const mine = holder === options.identity
    const lastsMs = (found.spec?.leaseDurationSeconds ?? leaseMs / 1000) * 1000
    if (!mine && holder !== '' && clock.monotonicMs() - seen.atMs < lastsMs) return false
    const spec = {
      ...found.spec, holderIdentity: options.identity, leaseDurationSeconds: leaseMs / 1000, renewTime: now,
      acquireTime: mine ? (found.spec?.acquireTime ?? now) : now,
      leaseTransitions: (found.spec?.leaseTransitions ?? 0) + (mine ? 0 : 1),
    }
    try {
      held = await client.update<Lease>(LEASES, { ...found, spec }, { signal })
      return true
    } catch (error) {
      held = undefined
      throw error
    }
  }

  /** Rejects never; false: the API failed or someone else holds it. */
  const tryHold = async (): Promise<boolean> => {
    try {
      return await maybeHold()
    } catch (error) {
      if (!signal.aborted) log.debug('lease not written', { lease: lease.name, error: asError(error) })
      return false
    }
  }

  while (!signal.aborted) {
    if (!await tryHold()) { await pause(); continue }
    log.info('became leader', { lease: lease.name, identity: options.identity })
    const term = new AbortController()
    const stop = () => term.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const working = work(term.signal).finally(() => term.abort())
    let renewedMs = clock.monotonicMs()
    const renewing = (async () => {
      while (!term.signal.aborted) {
        // Renewing at a third of the deadline leaves two more tries before it; each write that is not needed is one less for the disk.
        await clock.sleep(held ? Math.max(retryMs, renewMsMax / 3) : retryMs, term.signal).catch(() => { /* aborted: the loop ends */ })
        if (term.signal.aborted) return
        if (await tryHold()) renewedMs = clock.monotonicMs()
        else if (clock.monotonicMs() - renewedMs >= renewMsMax) {
          log.warn('lost leadership', { lease: lease.name })
          term.abort(new Error('leadership lost'))
        }
      }
    })()
    try {
      await working
    } finally {
      term.abort()
      await renewing
      signal.removeEventListener('abort', stop)
    }
    if (signal.aborted && held) await release(client, held)
    held = undefined
  }
}

/** Lets the next one in at once; when it fails the lease just runs out. */
async function release(client: Client, held: Stored<Lease>): Promise<void> {
  const spec = { ...held.spec, holderIdentity: '', leaseDurationSeconds: 1 }
  await client.update<Lease>(LEASES, { ...held, spec }).catch(() => { /* It runs out by itself. */ })
}

/** metav1.MicroTime. */
function microTime(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, -1)}000Z`
}
