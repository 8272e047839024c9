/** Work inside another network namespace, by setns(2). */
import { closeSync, openSync } from 'node:fs'
import { cLibrary } from './c-library.ts'

const CLONE_NEWNET = 0x40000000

const libc = cLibrary({ setns: { arguments: ['int32', 'int32'], return: 'int32' } })

/**
 * Runs `work` with this thread in the namespace that is mounted at `path`, and comes back. `work` is synchronous, so that no other code
 * runs there; other threads never leave home. A socket belongs for good to the namespace it was made in.
 */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const { functions, check } = libc()
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    const target = openSync(path, 'r')
    try {
      check(functions.setns(target, CLONE_NEWNET), `setns ${path}`)
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
