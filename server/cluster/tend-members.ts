/**
 * What the server that leads looks after: who belongs to the cluster, and whose addresses clients get. It looks when
 * something changes and, having others beside it, every few seconds.
 */
import { isReason, type Client, type Informers } from '#api/client/client.ts'
import { CONFIG_MAPS, NODES, type ConfigMap, type Node } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { membersOf } from '../raft/configuration.ts'
import type { MemberId, Term } from '../raft/types.ts'
import type { ReplicaNode } from '../replication/contract.ts'
import { decideMembers, reachableAddresses, type MembersAction, type MembersView } from './decide-members.ts'
import { parseServers, SERVERS_NAME, SERVERS_NAMESPACE, writeServers } from './servers.ts'

export interface TendMembersOptions {
  node: ReplicaNode
  client: Client
  informers: Informers
  /** Makes the `kubernetes` Service's endpoints so. */
  publish: (addresses: readonly string[]) => Promise<void>
  clock: Clock
  log: Log
}

const LOOK_EVERY_MS = 3_000
/** After something could not be done: a new leader, for one, cannot change members before its first entry is everywhere. */
const AGAIN_MS = 300
const AGAIN = ['RAFT_CHANGING', 'RAFT_TRANSFERRING']

/** Until the signal aborts. The informers are started by the caller. */
export async function tendMembers(options: TendMembersOptions, signal: AbortSignal): Promise<void> {
  const { node, client, informers, clock } = options
  const log = options.log.with('members')
  const nodes = informers.of<Node>(NODES)
  const servers = informers.of<ConfigMap>(CONFIG_MAPS, { namespace: SERVERS_NAMESPACE, fieldSelector: `metadata.name=${SERVERS_NAME}` })
  const heardMs = new Map<MemberId, number>()
  const state: { term: Term; published: string; due: boolean } = { term: 0, published: '', due: true }
  let wake = () => {}
  const poke = () => {
    state.due = true
    wake()
  }
  const unsubscribe = [node.onChange(poke), servers.onChange(poke), nodes.onChange((before, after) => {
    if (before?.metadata.uid !== after?.metadata.uid) poke()
  })]
  const pause = async (): Promise<void> => {
    const { configuration, role } = node.status()
    const hasOthers = membersOf(configuration).length > 1
    if (state.due) return
    const woken = new AbortController()
    wake = () => woken.abort()
    const ended = AbortSignal.any([signal, woken.signal])
    // Who does not lead, or leads nobody, waits for a change alone.
    if (role === 'leader' && hasOthers) await clock.sleep(LOOK_EVERY_MS, ended).catch(() => { /* woken early is what was wanted */ })
    else await new Promise<void>((resolve) => (ended.aborted ? resolve() : ended.addEventListener('abort', () => resolve(), { once: true })))
    wake = () => {}
  }

  const look = async (): Promise<void> => {
    const status = node.status()
    if (status.role !== 'leader') return
    const nowMs = clock.monotonicMs()
    if (status.term !== state.term) {
      // Who leads anew knows of nobody that he is gone.
      for (const member of membersOf(status.configuration)) heardMs.set(member, nowMs)
      Object.assign(state, { term: status.term, published: '' })
    }
    for (const { member, active } of status.followers) if (active) heardMs.set(member, nowMs)
    if (!servers.hasSynced()) return
    const view: MembersView = {
      self: node.id, configuration: status.configuration, heardMs, entries: parseServers(servers.get(`${SERVERS_NAMESPACE}/${SERVERS_NAME}`)),
      nodes: nodes.hasSynced() ? new Map(nodes.list().map((n) => [n.metadata.name, n.metadata.uid])) : undefined,
    }
    const actions = decideMembers(view)
    for (const action of actions) await act(action)
    // What they led to is told here in a moment, and looked at anew.
    if (actions.length > 0) return
    const addresses = reachableAddresses(view, nowMs)
    const text = addresses.join(' ')
    if (addresses.length === 0 || text === state.published) return
    await options.publish(addresses)
    state.published = text
    log.info('servers that clients may use', { addresses: text })
  }

  const act = async (action: MembersAction): Promise<void> => {
    switch (action.kind) {
      case 'writeEntries': return writeServers(client, action.changes, signal)
      case 'handOver':
        log.info('this server is to leave the cluster: another one takes over', { because: action.because })
        node.transfer(0)
        return
      case 'removeMember':
        log.info('a server leaves the cluster', { name: action.name, member: action.member, because: action.because })
        await node.changeMembers([{ kind: 'remove', member: action.member }])
        await writeServers(client, new Map([[action.member, undefined]]), signal)
    }
  }

  try {
    while (!signal.aborted) {
      state.due = false
      try {
        await look()
      } catch (error) {
        if (signal.aborted) break
        // What could not be done is found again at the next look.
        log.debug('could not look after the members', { error: asError(error) })
        const isSoon = isReason(error, 'Conflict') || AGAIN.some((code) => hasCode(error, code))
        await clock.sleep(isSoon ? AGAIN_MS : LOOK_EVERY_MS, signal).catch(() => { /* looked at above */ })
        state.due = true
      }
      await pause()
    }
  } finally {
    for (const end of unsubscribe) end()
  }
}
