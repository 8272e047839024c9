/** Opens the store that this server keeps itself: alone, or together with the other servers of its cluster. */
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { emptyConfiguration, initialConfiguration } from '../raft/configuration.ts'
import type { ReplicaNode, Transport } from '../replication/contract.ts'
import { openReplica } from '../replication/driver/replica.ts'
import { hasLevelLog, openLevelLog } from '../replication/log/level-log.ts'
import { openReplicatedStore } from '../replication/machine/open-replicated-store.ts'
import type { LevelDatabase } from '../store/open-level.ts'
import type { WriteBack } from '../store/write-back.ts'
import type { Store } from '../store/store.ts'
import { newMemberId, readMember, writeMember, type MemberRecord } from './member-record.ts'

export interface OwnDataOptions {
  /** `<data-dir>/server`. */
  directory: string
  open: () => Promise<LevelDatabase>
  /** `--cluster-init`. */
  clusterInit: boolean
  /** `host:port` of the server that `--server` names. */
  join: string | undefined
  /** `host:port` under which others reach this server's API. */
  address: string
  /** Throws CodedError `DISK_FULL`. */
  assertRoom: () => void
  /** Default: that of the profile `normal`. */
  writeBack?: WriteBack
  clock: Clock
  random: Random
  log: Log
}

/** What the store is opened into: the port must be open before several servers can agree on anything. */
export type Attach = (member: MemberRecord) => Promise<Transport>

export interface OpenedStore {
  store: Store
  /** Rejects when this server's disk failed: it must start again from it. */
  failed?: Promise<never>
  /** It is elsewhere, and other servers may work on it, too. */
  shared?: true
  /** Undefined: the store is elsewhere, or knows no other servers. */
  member?: { record: MemberRecord; node: ReplicaNode; /** Notes that this member is out for good. */ markRemoved: () => Promise<void> }
}

/** Rejects with UsageError, `MEMBER_REMOVED`, and what the store's parts reject with. `attach` is called for a server that may have others beside it. */
export async function openOwnStore(options: OwnDataOptions, attach: Attach): Promise<OpenedStore> {
  const { clock, random, log } = options
  const found: Pick<OpenedStore, 'member' | 'failed'> = {}
  const store = await openReplicatedStore({
    open: options.open, receivedDirectory: join(options.directory, 'received'), historyDirectory: join(options.directory, 'history'), clock, random, log: log.with('store'), ...(options.writeBack && { writeBack: options.writeBack }),
    async start(machine, db) {
      const record = await ownRecord(db, machine.applied > 0 || hasLevelLog(db), options)
      const transport = record.clustered ? await attach(record) : noTransport
      const storage = await openLevelLog(db, { initial: record.joined === undefined ? initialConfiguration({ [record.id]: options.address }) : emptyConfiguration, stateAt: machine.applied, assertRoom: options.assertRoom })
      const node = openReplica({ id: record.id, storage, machine, transport, clock, random, log: log.with('raft') })
      found.failed = node.failed
      if (record.clustered) found.member = { record, node, markRemoved: () => writeMember(db, { ...record, removed: true }) }
      return node
    },
  })
  return { store, ...found }
}

async function ownRecord(db: LevelDatabase, hasData: boolean, { clusterInit, join: joins, random, directory }: OwnDataOptions): Promise<MemberRecord> {
  const found = await readMember(db)
  if (found?.removed) {
    throw new CodedError('MEMBER_REMOVED', `this server was removed from its cluster: to join again as a new one, move ${join(directory, 'db')} away and start it with --server and --token`)
  }
  if (joins !== undefined && hasData && !found?.clustered) {
    throw new UsageError(`--server: this machine has a cluster of its own in ${directory}: move that directory away to join another one, or leave --server out`)
  }
  const wanted: MemberRecord = found && hasData
    ? { ...found, clustered: found.clustered || clusterInit }
    : { id: found?.id ?? newMemberId(random), clustered: clusterInit || joins !== undefined, removed: false, ...(joins !== undefined && { joined: joins }) }
  if (JSON.stringify(wanted) !== JSON.stringify(found)) await writeMember(db, wanted)
  return wanted
}

/** A server with nobody beside it. */
export const noTransport: Transport = {
  start() { /* nobody will call */ },
  setPeers() { /* there are none */ },
  send() { /* to nobody */ },
  sendVolatile: () => false,
  close: () => Promise.resolve(),
}

