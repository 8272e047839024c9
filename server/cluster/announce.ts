/** A member tells the others where it is: when it joins, and whenever it starts with another address than they know. */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { isAlone, isMember } from '../raft/configuration.ts'
import type { ReplicaNode } from '../replication/contract.ts'
import { askToBeMember } from './join-cluster.ts'
import type { MemberRecord } from './member-record.ts'

export interface AnnounceOptions {
  node: ReplicaNode
  record: MemberRecord
  name: string
  /** `host:port`. */
  address: string
  /** PEM, and what goes into the Authorization header. */
  asker: { ca: string; bearer: string }
  clock: Clock
  random: Random
  log: Log
}

/** Resolves when the configuration has this member at this address. Rejects with `JOIN_REFUSED`, and when the signal aborts. */
export async function announce(options: AnnounceOptions, signal: AbortSignal): Promise<void> {
  const { node, record, name, address, log } = options
  const isKnown = () => {
    const { configuration } = node.status()
    return isMember(configuration, node.id) && configuration.addresses[node.id] === address
  }
  if (isKnown()) return
  if (isAlone(node.status().configuration, node.id)) {
    await node.changeMembers([{ kind: 'addVoter', member: node.id, address }])
    return
  }
  const known = node.status().configuration
  log.info(isMember(known, node.id) ? 'telling the other servers the new address of this one' : 'asking to be taken into the cluster', { address })
  const others = () => {
    const { configuration } = node.status()
    const addresses = Object.entries(configuration.addresses).filter(([id]) => Number(id) !== node.id).map(([, at]) => at)
    if (addresses.length > 0) return addresses
    return record.joined === undefined ? [] : [record.joined]
  }
  await askToBeMember({ member: node.id, address, name }, others, options.asker, { ...options, signal })
  await until(node, isKnown, signal)
  log.info('the other servers know this one', { address })
}

function until(node: ReplicaNode, condition: () => boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => { if (condition()) finish(resolve) }
    const finish = (act: () => void) => {
      unsubscribe()
      signal.removeEventListener('abort', onAbort)
      act()
    }
    const onAbort = () => finish(() => reject(asError(signal.reason)))
    const unsubscribe = node.onChange(look)
    signal.addEventListener('abort', onAbort, { once: true })
    look()
  })
}
