/** Whether what is kept in memory on purpose (secrets, tokens, emptyDirs of medium Memory) may end up on a disk after all: as upstream's kubelet finds out. */
import { mkdtemp, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { detachMount, mountFileSystem } from '#base/mounts.ts'
import type { HostFacts } from './host-facts.ts'

/** Of the kernel, with `noswap` for tmpfs; some vendors have it in older ones. */
const NOSWAP_SINCE = [6, 4] as const

export async function memoryVolumesMaySwap({ swapBytes, kernelVersion }: Pick<HostFacts, 'swapBytes' | 'kernelVersion'>, directory: string, takesNoswap: (directory: string) => Promise<boolean> = mountsNoswap): Promise<boolean> {
  if (swapBytes === 0) return false
  const [major = 0, minor = 0] = kernelVersion.split('.').map((part) => Number.parseInt(part, 10))
  if (major > NOSWAP_SINCE[0] || (major === NOSWAP_SINCE[0] && minor >= NOSWAP_SINCE[1])) return false
  return !await takesNoswap(directory)
}

async function mountsNoswap(directory: string): Promise<boolean> {
  const target = await mkdtemp(join(directory, 'tmpfs-noswap-test-'))
  try {
    mountFileSystem({ type: 'tmpfs', source: 'tmpfs', target, options: 'noswap' })
  } catch {
    return false // Whatever is wrong with it: volumes would be mounted without, then.
  } finally {
    await detachMount(target)
    await rmdir(target)
  }
  return true
}
