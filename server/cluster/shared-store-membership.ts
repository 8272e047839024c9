/**
 * Servers whose store is elsewhere and the same (an external etcd): none leads, each keeps a Lease in kube-system while it
 * serves. Clients get the addresses of those that do; controllers and the scheduler run on one of them.
 */
import { isReason, type Client, type Informer } from '#api/client/client.ts'
import { createInformer } from '#api/client/informer.ts'
import { LEASES, type Lease, type Stored } from '#api/types/index.ts'
import { unlessAborted } from '#base/abort.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { ensureApiServerEndpoints } from '../apiserver/bootstrap/ensure.ts'
import type { ServerConfig } from '../server-config.ts'
import { ADDRESS_ANNOTATION, decideServing, SERVER_LEASE, SERVER_LEASE_SECONDS, type SeenLease } from './decide-serving.ts'
import { workWhenElected } from './leader-election.ts'
import type { Membership } from './membership.ts'

/** Three chances before it is taken for gone. */
const RENEW_MS = 5_000
const LEAVE_MS_MAX = 1_500
const NAMESPACE = 'kube-system'

export function createSharedStoreMembership({ config, deps }: { config: ServerConfig; deps: { clock: Clock; random: Random; log: Log } }): Membership {
  const { clock, random } = deps
  const log = deps.log.with('cluster')
  const own = `${SERVER_LEASE}${config.serverName}`
  const identity = `${config.serverName}_${config.advertiseAddress}`
  const late: { leases?: Promise<Informer<Lease>> } = {}
  const seen = new Map<string, SeenLease>()
  const state = { published: '', wake: () => { /* nobody sleeps */ } }

  const leasesOf = (client: Client, signal: AbortSignal): Promise<Informer<Lease>> => (late.leases ??= (async () => {
    const made = createInformer<Lease>(client, LEASES, { namespace: NAMESPACE }, { clock, random, log })
    const { informer } = made
    informer.onChange((before, after) => {
      const name = (after ?? before)?.metadata.name ?? ''
      if (!name.startsWith(SERVER_LEASE)) return
      if (after) seen.set(name, { lease: after, sinceMs: clock.monotonicMs() })
      else seen.delete(name)
      if (name !== own) state.wake()
    })
    void made.run(signal)
    await unlessAborted(signal, informer.synced)
    return informer
  })())

  /** `holder` '': it serves no longer. */
  async function renew(client: Client, holder: string): Promise<void> {
    for (;;) {
      const found = await client.get<Lease>(LEASES, own, NAMESPACE).catch((error: unknown) => {
        if (isReason(error, 'NotFound')) return undefined
        throw error
      })
      const lease: Lease = {
        apiVersion: 'coordination.k8s.io/v1', kind: 'Lease',
        metadata: { ...found?.metadata, name: own, namespace: NAMESPACE, annotations: { ...found?.metadata.annotations, [ADDRESS_ANNOTATION]: config.advertiseAddress } },
        spec: { ...found?.spec, holderIdentity: holder, leaseDurationSeconds: SERVER_LEASE_SECONDS, renewTime: new Date(clock.nowMs()).toISOString().replace('Z', '000Z') },
      }
      try {
        await (found ? client.update<Lease>(LEASES, lease as Stored<Lease>) : client.create<Lease>(LEASES, lease))
        return
      } catch (error) {
        // An earlier life's write came later than this one's look.
        if (!isReason(error, 'Conflict', 'AlreadyExists', 'NotFound')) throw error
      }
    }
  }

  async function publish(client: Client): Promise<void> {
    const { addresses, publisher } = decideServing([...seen.values()], clock.monotonicMs())
    if (publisher !== config.serverName || addresses.join() === state.published) {
      if (publisher !== config.serverName) state.published = ''
      return
    }
    await ensureApiServerEndpoints(client, { serviceCidr: config.cluster.serviceCidr, addresses, port: config.port })
    log.info('these servers serve', { addresses: addresses.join(' ') })
    state.published = addresses.join()
  }

  return {
    answer: () => undefined,
    whenStoreAnswers: () => Promise.resolve(),
    async enroll(client, signal) {
      await renew(client, identity)
      await leasesOf(client, signal)
      await publish(client)
    },
    async tend(client, _informers, signal) {
      for (let renewedMs = clock.monotonicMs(); !signal.aborted; ) {
        const woken = new AbortController()
        state.wake = () => woken.abort()
        await clock.sleep(Math.max(0, renewedMs + RENEW_MS - clock.monotonicMs()), AbortSignal.any([signal, woken.signal])).catch(() => { /* woken early is what was wanted */ })
        if (signal.aborted) return
        try {
          if (clock.monotonicMs() - renewedMs >= RENEW_MS) {
            renewedMs = clock.monotonicMs()
            await renew(client, identity)
          }
          await publish(client)
        } catch (error) {
          log.warn('could not say that this server serves; tried again in a moment', { error: asError(error) })
        }
      }
    },
    async onOneServer(name, client, work, signal) {
      await workWhenElected({ client, leases: await leasesOf(client, signal), name, identity, clock, random, log }, work, signal)
    },
    async leave(client) {
      const told = renew(client, '').catch((error: unknown) => log.debug('could not tell the other servers that this one stops', { error: asError(error) }))
      await Promise.race([told, clock.sleep(LEAVE_MS_MAX)])
    },
    problem: () => undefined,
    failed: new Promise<never>(() => { /* whatever fails is found at the next request */ }),
  }
}
