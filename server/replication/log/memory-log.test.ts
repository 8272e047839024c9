import { logContract, members } from './log.contract.ts'
import { emptyLogState, MemoryLog } from './memory-log.ts'

logContract('memory', () => {
  const state = emptyLogState(members)
  return Promise.resolve({
    log: new MemoryLog(state),
    reopen: () => Promise.resolve(new MemoryLog(state)),
    reset: async (log, base) => log.wasReset(base),
    close: () => Promise.resolve(),
  })
})
