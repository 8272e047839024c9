/**
 * Functions of the C library that is already loaded, by node:ffi: the system calls Node does not offer. They run on this thread, so
 * only what answers at once belongs here. A wrong signature crashes the process: each caller's are written beside their use.
 */
import type { FunctionDefinitions, WrappedFunctionsFromDefinitions } from 'node:ffi'
import { getSystemErrorName } from 'node:util'
import { CodedError } from './errors.ts'

export interface CLibrary<T extends FunctionDefinitions> {
  readonly functions: WrappedFunctionsFromDefinitions<T>
  /** Of the call before, which failed; nothing else may have been called in between. */
  readonly errno: () => number
  /** `result`, unless it is negative: then throws with errno's name as `code`. `doing` says which call and on what: `mount tmpfs on /a`. */
  readonly check: (result: number, doing: string) => number
}

/** Bound on the first call, and once: the C library stays loaded as long as the process lives. That first call throws ENOSYS on a Node without node:ffi. */
export function cLibrary<const T extends FunctionDefinitions>(signatures: T): () => CLibrary<T> {
  let bound: CLibrary<T> | undefined
  return () => (bound ??= bind(signatures))
}

function bind<const T extends FunctionDefinitions>(signatures: T): CLibrary<T> {
  const ffi = process.getBuiltinModule('node:ffi')
  if (!ffi) throw new CodedError('ENOSYS', 'this build of node lacks node:ffi: use the node version that package.json pins')
  const { functions } = ffi.dlopen(null, signatures)
  const location = ffi.dlopen(null, { __errno_location: { arguments: [], return: 'pointer' } }).functions
  const errno = () => ffi.getInt32(location.__errno_location())
  return {
    functions,
    errno,
    check: (result, doing) => {
      if (result >= 0) return result
      const name = getSystemErrorName(-errno())
      throw new CodedError(name, `${doing}: ${name}`)
    },
  }
}
