/** Work inside another network namespace, by setns(2) through node:ffi. */
import { closeSync, openSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { CodedError } from './errors.ts'

const CLONE_NEWNET = 0x40000000

function bind() {
  const ffi = process.getBuiltinModule('node:ffi')
  if (!ffi) throw new CodedError('ENOSYS', 'this build of node lacks node:ffi: use the node version that package.json pins')
  const { functions } = ffi.dlopen(null, {
    __errno_location: { arguments: [], return: 'pointer' },
    setns: { arguments: ['int32', 'int32'], return: 'int32' },
  })
  return { ffi, functions }
}

/** Bound once per process: the C library stays loaded as long as the process lives. */
const loaded: { library?: ReturnType<typeof bind> } = {}

/**
 * Runs `work` with this thread in the namespace that is mounted at `path`, and comes back. `work` is synchronous, so that no other code
 * runs there; other threads never leave home. A socket belongs for good to the namespace it was made in.
 */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const { ffi, functions } = loaded.library ??= bind()
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    const target = openSync(path, 'r')
    try {
      if (functions.setns(target, CLONE_NEWNET) !== 0) {
        const code = getSystemErrorName(-ffi.getInt32(functions.__errno_location()))
        throw new CodedError(code, `setns ${path}: ${code}`)
      }
      try {
        return work()
      } finally {
        // Staying in a pod's namespace would send the whole process's traffic astray: better no process than that.
        if (functions.setns(home, CLONE_NEWNET) !== 0) process.abort()
      }
    } finally {
      closeSync(target)
    }
  } finally {
    closeSync(home)
  }
}
