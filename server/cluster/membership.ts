/**
 * A server's part in a cluster of several: joins, tells where it is, takes others in, looks after who belongs to the
 * cluster while it leads, and works on what only one server does at a time while it is elected.
 */
import type { Client, Informer, Informers } from '#api/client/client.ts'
import { createInformer } from '#api/client/informer.ts'
import type { ApiResponse } from '#api/client/transport.ts'
import { LEASES, type Lease } from '#api/types/index.ts'
import { GIT_VERSION } from '#api/version.ts'
import { unlessAborted } from '#base/abort.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { PeerRequest } from '../apiserver/app.ts'
import { ensureApiServerEndpoints } from '../apiserver/bootstrap/ensure.ts'
import type { Door } from '../door.ts'
import { membersOf } from '../raft/configuration.ts'
import { NOBODY, type RaftStatus } from '../raft/types.ts'
import type { ServerConfig } from '../server-config.ts'
import type { Store } from '../store/store.ts'
import { admit } from './admit.ts'
import { announce } from './announce.ts'
import { readBundle } from './join-bundle.ts'
import { createJoinEndpoint } from './join-endpoint.ts'
import { workWhenElected, type ElectionOptions } from './leader-election.ts'
import type { OpenedStore } from './open-own-store.ts'
import { readServers, writeServers } from './servers.ts'
import { tendMembers } from './tend-members.ts'

export interface Membership {
  /** Requests of other servers; undefined: it is none. */
  answer(request: PeerRequest): Promise<ApiResponse> | undefined
  /** Joins where that is still to be done; resolves when this server can read the cluster's state. */
  whenStoreAnswers(store: Store, signal: AbortSignal): Promise<void>
  /** Notes this server where all can see it. */
  enroll(client: Client, signal: AbortSignal): Promise<void>
  /** Until the signal aborts. The informers are started already. */
  tend(client: Client, informers: Informers, signal: AbortSignal): Promise<void>
  /** Works whenever this server is the one, until the signal aborts. */
  onOneServer(name: ElectionOptions['name'], client: Client, work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void>
  /** Before a clean stop: clients are sent elsewhere. Never rejects, never takes long. */
  leave(client: Client): Promise<void>
  /** Why nothing can be read or written now, as far as this server knows without asking. */
  problem(): string | undefined
  /** Rejects when this server is out of its cluster for good, or its disk failed. */
  readonly failed: Promise<never>
}

export interface MembershipOptions extends NonNullable<OpenedStore['member']> {
  config: ServerConfig
  door: Door
  deps: { clock: Clock; random: Random; log: Log }
}

const LOOK_MS = 300
const LEAVE_MS_MAX = 1_500
/** Something is asked of the API before there is one. */
const NOT_YET = { ok: false, why: 'busy', message: 'the server is starting' } as const

export function createMembership(options: MembershipOptions): Membership {
  const { config, door, node, record, deps } = options
  const { clock, random } = deps
  const log = deps.log.with('cluster')
  const address = hostPort(config.advertiseAddress, config.port)
  const own = { name: config.serverName, address }
  const secret = () => door.pki.tokens.secrets.find(({ user }) => user === 'server')?.secret ?? ''
  const late: { client?: Client; leases?: Informer<Lease>; announced?: Promise<void> } = {}
  const answer = createJoinEndpoint({
    secret, log,
    bundle: () => readBundle(config.dataDir, { cluster: config.cluster, port: config.port, kubernetes: GIT_VERSION }),
    admit: (request) => (late.client ? admit(request, node, late.client, { clock, log }) : Promise.resolve(NOT_YET)),
  })
  const failed = Promise.race([node.failed, removal(options, log)])
  // Whoever does not look at it hears of the end by every request.
  failed.catch(() => { /* told to who waits for it */ })

  return {
    answer, failed,
    async whenStoreAnswers(store, signal) {
      const announced = announce({ node, record, ...own, asker: { ca: door.pki.authorities.server.certPem, bearer: `server:${secret()}` }, clock, random, log }, signal)
      late.announced = announced
      const refused = announced.then(() => new Promise<never>(() => { /* all is well */ }))
      // The address of a member that is known by another one is told for as long as it takes, beside all else.
      refused.catch((error: unknown) => { if (!signal.aborted) log.error('the other servers do not know where this one is', { error: asError(error) }) })
      await Promise.race([storeAnswers(store, { clock, log, signal }), refused, failed])
    },
    async enroll(client, signal) {
      // The others take it under this name and at this address, or it ends here: before, nobody is told of it.
      await late.announced
      const before = (await readServers(client, signal)).get(node.id)
      await writeServers(client, new Map([[node.id, { ...own, ...(before?.nodeUid !== undefined && { nodeUid: before.nodeUid }), ...(before?.removing && { removing: true }) }]]), signal)
      late.client = client
    },
    async tend(client, informers, signal) {
      const publish = (addresses: readonly string[]) => ensureApiServerEndpoints(client, { serviceCidr: config.cluster.serviceCidr, addresses, port: config.port })
      await tendMembers({ node, client, informers, publish, clock, log }, signal)
    },
    async onOneServer(name, client, work, signal) {
      await workWhenElected({ client, leases: await leasesOf(client, signal), name, identity: `${config.serverName}_${record.id}`, clock, random, log }, work, signal)
    },
    async leave(client) {
      const { configuration, leader, removed } = node.status()
      if (removed || leader === NOBODY || membersOf(configuration).length === 1) return
      const tell = async () => {
        const before = (await readServers(client)).get(node.id)
        if (before) await writeServers(client, new Map([[node.id, { ...before, stopping: true }]]))
      }
      // Without a majority, say, the others notice by themselves.
      const told = tell().catch((error: unknown) => log.debug('could not tell the other servers that this one stops', { error: asError(error) }))
      await Promise.race([told, clock.sleep(LEAVE_MS_MAX)])
    },
    problem() {
      return node.status().leader === NOBODY ? 'no server leads: too few servers of the cluster are up, or this one cannot reach them' : undefined
    },
  }

  async function leasesOf(client: Client, signal: AbortSignal): Promise<Informer<Lease>> {
    if (!late.leases) {
      const { informer, run } = leasesInformer(client)
      late.leases = informer
      void run(signal)
    }
    await unlessAborted(signal, late.leases.synced)
    return late.leases
  }

  function leasesInformer(client: Client) {
    const made = createInformer<Lease>(client, LEASES, { namespace: 'kube-system' }, { clock, random, log })
    return { informer: made.informer, run: (signal: AbortSignal) => made.run(signal) }
  }
}

export const hostPort = (ip: string, port: number): string => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`

async function storeAnswers(store: Store, { clock, log, signal }: { clock: Clock; log: Log; signal: AbortSignal }): Promise<void> {
  for (let isSaid = false; ; isSaid = true) {
    try {
      await store.get('/registry/health')
      return
    } catch (error) {
      signal.throwIfAborted()
      if (!hasCode(error, 'STORE_UNAVAILABLE')) throw error
      if (!isSaid) log.warn('waiting for a majority of the servers of the cluster', { error: asError(error) })
    }
    await clock.sleep(LOOK_MS, signal)
  }
}

/** Rejects once this member knows that it is none any more, and has noted that for the next start. */
function removal({ node, config, markRemoved }: MembershipOptions, log: Log): Promise<never> {
  return new Promise((_resolve, reject) => {
    const look = (status: RaftStatus) => {
      if (!status.removed) return
      unsubscribe()
      const gone = new CodedError('MEMBER_REMOVED', `this server was removed from its cluster and stops: to join again as a new one, move ${config.dataDir}/server/db away and start it with --server and --token`)
      markRemoved().catch((error: unknown) => log.error('that this server was removed could not be noted', { error: asError(error) })).finally(() => reject(gone))
    }
    const unsubscribe = node.onChange(look)
    look(node.status())
  })
}
