/** Opens the replicated store of this server: one database for the state and the log. */
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { HISTORY_LIMITS, type HistoryLimits } from '#server/store/history.ts'
import { openHistoryDirectory } from '#server/store/history-directory.ts'
import { WRITE_BACK, type WriteBack } from '#server/store/write-back.ts'
import type { ReplicaNode, StateMachine } from '../contract.ts'
import { openState } from './open-state.ts'
import { ReplicatedStore } from './replicated-store.ts'
import type { Database } from './state-database.ts'
import { StoreMachine } from './store-machine.ts'

export interface ReplicatedStoreOptions {
  readonly open: () => Promise<Database>
  /** For what is received of a snapshot; made where it is not there. */
  readonly receivedDirectory: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly history?: HistoryLimits
  /** For what history has no room for in memory; emptied. Absent: it is kept in memory alone. */
  readonly historyDirectory?: string
  /** Default: that of the profile `normal`. */
  readonly writeBack?: WriteBack
  readonly leaderlessMsMax?: number
  /** Opens the log in the same database and starts the member. It closes the machine. */
  readonly start: (machine: StateMachine, db: Database) => Promise<ReplicaNode>
}

/** A server with the only vote can be written to when this resolves; others may have to wait for a leader still: `catchUp`. */
export async function openReplicatedStore(options: ReplicatedStoreOptions): Promise<ReplicatedStore> {
  const { clock, random, log, writeBack = WRITE_BACK.normal } = options
  const db = await openDatabase(options.open)
  try {
    const historySpill = options.historyDirectory === undefined ? undefined : await openHistoryDirectory({ directory: options.historyDirectory, clock, log })
    const machine = new StoreMachine({ db, clock, history: options.history ?? HISTORY_LIMITS, writeBack, ...(historySpill && { historySpill }) }, await openState(db, options.receivedDirectory))
    const node = await options.start(machine, db)
    const store = new ReplicatedStore({ machine, node, clock, random, log, writeBack, closeDatabase: () => db.close(), ...(options.leaderlessMsMax !== undefined && { leaderlessMsMax: options.leaderlessMsMax }) })
    await store.whenAloneLeads()
    return store
  } catch (error) {
    await db.close()
    throw error
  }
}

async function openDatabase(open: () => Promise<Database>): Promise<Database> {
  try {
    return await open()
  } catch (error) {
    if (error instanceof CodedError) throw error
    const cause = asError(error).cause
    if (hasCode(cause, 'LEVEL_LOCKED')) {
      throw new CodedError('STORE_LOCKED', 'another skiff server uses this data directory: stop it, or give this one its own --data-dir', { cause: error })
    }
    if (hasCode(cause, 'LEVEL_CORRUPTION')) {
      throw new CodedError('STORE_CORRUPT', 'the store is damaged: restore a snapshot, or start with an empty data directory', { cause: error })
    }
    throw new CodedError('STORE_OPEN_FAILED', `the store cannot be opened: ${asError(cause ?? error).message}`, { cause: error })
  }
}
