/** The store of a server that has nobody beside it. */
import { join } from 'node:path'
import { systemClock, type Clock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { levelOpener } from '#server/store/open-level.ts'
import type { Store } from '#server/store/store.ts'
import { WRITE_BACK, type WriteBack } from '#server/store/write-back.ts'
import { initialConfiguration } from '../../raft/configuration.ts'
import type { Transport } from '../contract.ts'
import { openReplica } from '../driver/replica.ts'
import { openLevelLog } from '../log/level-log.ts'
import { openReplicatedStore } from './open-replicated-store.ts'

const nobody: Transport = { start() { /* nobody calls */ }, setPeers() { /* there are none */ }, send() { /* to nobody */ }, sendVolatile: () => false, close: () => Promise.resolve() }

/** `directory`: the database's; what is received of snapshots has its place beside it. */
export function openAlone(directory: string, clock: Clock = systemClock, assertRoom?: () => void, writeBack: WriteBack = WRITE_BACK.normal): Promise<Store> {
  return openReplicatedStore({
    open: levelOpener(directory, writeBack), writeBack, receivedDirectory: join(directory, '..', 'received'), clock, random: systemRandom, log: silentLog,
    start: async (machine, db) => openReplica({
      id: 1, storage: await openLevelLog(db, { initial: initialConfiguration({ 1: 'nowhere' }), stateAt: machine.applied, ...(assertRoom && { assertRoom }) }), machine, transport: nobody, clock, random: systemRandom, log: silentLog,
    }),
  })
}
