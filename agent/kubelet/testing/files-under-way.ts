/**
 * Whether this process waits for files. `process.getActiveResourcesInfo` alone would do, if Node (26) did not leave out the
 * opening of `readFile` and `writeFile`: these are counted here, from the import of this module on. Only tests import it.
 */
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const state = { underWay: 0 }

function counted<A extends unknown[], R>(call: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  return async (...args) => {
    state.underWay++
    try {
      return await call(...args)
    } finally {
      state.underWay--
    }
  }
}

Object.assign(promises, { readFile: counted(promises.readFile), writeFile: counted(promises.writeFile) })
syncBuiltinESMExports()

export function areFilesUnderWay(): boolean {
  return state.underWay > 0 || process.getActiveResourcesInfo().some((name) => /FSReq|CloseReq|FileHandle|Process|Zlib/.test(name))
}
