/**
 * The way out when most servers are lost for good: what this one has becomes a cluster of one, to which others join anew.
 * Entries that only this server has may never have been acknowledged; they count, because they may have been.
 */
import { join } from 'node:path'
import { UsageError } from '#base/errors.ts'
import { emptyConfiguration, initialConfiguration } from '../raft/configuration.ts'
import type { MemberId } from '../raft/types.ts'
import { openReplica } from '../replication/driver/replica.ts'
import { openLevelLog } from '../replication/log/level-log.ts'
import { openReplicatedStore } from '../replication/machine/open-replicated-store.ts'
import { newMemberId, recordOp } from './member-record.ts'
import { noTransport, type OwnDataOptions } from './open-own-store.ts'

/** Entries handed to the state machine at once. */
const APPLY_BYTES = 4 * 1024 * 1024

/** Offline. A new member id: those who still know the old one cannot reach it. Resolves with it, and how many servers there were. */
export async function resetToOneServer(options: Omit<OwnDataOptions, 'join' | 'clusterInit'>): Promise<{ member: MemberId; servers: number }> {
  const { address, assertRoom, clock, random, log } = options
  const member = newMemberId(random)
  const configuration = initialConfiguration({ [member]: address })
  const found = { servers: 0 }
  const store = await openReplicatedStore({
    open: options.open, receivedDirectory: join(options.directory, 'received'), clock, random, log,
    async start(machine, db) {
      const old = await openLevelLog(db, { initial: emptyConfiguration, assertRoom })
      const { base, lastIndex, configurations, terms } = old.recovered
      if (machine.applied === 0 && lastIndex === 0) throw new UsageError(`--cluster-reset: there is nothing of a cluster in ${options.directory}: run it where the data is`)
      found.servers = (configurations.at(-1)?.configuration ?? base.configuration).voters.length
      for (let low = machine.applied + 1; low <= lastIndex;) {
        const entries = old.entries(low, lastIndex + 1, APPLY_BYTES)
        await machine.apply(entries)
        low += entries.length
      }
      const index = Math.max(lastIndex, machine.applied)
      const reset = { index, term: terms.at(-1)?.term ?? base.term, configuration }
      // What was applied is written without a sync of its own before this, and is durable with it.
      await (await machine.openSnapshot(() => reset)).close()
      await db.batch([...old.resetOps(reset), recordOp({ id: member, clustered: true, removed: false })], { sync: true })
      const storage = await openLevelLog(db, { initial: configuration, assertRoom })
      return openReplica({ id: member, storage, machine, transport: noTransport, clock, random, log })
    },
  })
  await store.close()
  return { member, servers: found.servers }
}
