/** fsGroup: gives a volume's files to a group (upstream's pkg/volume SetVolumeOwnership). */
import { chmod, lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

const SETGID = 0o2000

export interface Ownership { gid: number; readonly: boolean; /** OnRootMismatch leaves the tree alone when its top is right already. */ policy: 'Always' | 'OnRootMismatch' }

/** A volume with many files, on a slow disk: its pod is told of it. */
export interface OwnershipWatch { begins(pod: Stored<Pod>, dir: string): OwnershipProgress }
export interface OwnershipProgress {
  oneMore(): void
  /** It cannot be given away: a server squashes root, a file is immutable. The others are, and the pod begins, as upstream. */
  failed(path: string, error: unknown): void
  ends(): void
}

/** Upstream's firstEventReportDuration and progressReportDuration. */
const SLOW_MS = 30_000
const PROGRESS_MS = 60_000
const POLICY_URL = 'https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods'

export function createOwnershipWatch({ clock, log, tell }: { clock: Clock; log: Log; tell: (pod: Stored<Pod>, message: string) => void }): OwnershipWatch {
  return {
    begins(pod, dir) {
      const at = dir.indexOf(pod.metadata.uid)
      const what = `Setting volume ownership for ${at < 0 ? dir : dir.slice(at)}`
      let files = 0
      let failures = 0
      const progress = () => {
        tell(pod, `${what}, processed ${files} files.`)
        cancel = clock.after(PROGRESS_MS, progress)
      }
      let cancel = clock.after(SLOW_MS, () => {
        tell(pod, `${what} is taking longer than expected, consider using OnRootMismatch - ${POLICY_URL}`)
        cancel = clock.after(PROGRESS_MS, progress)
      })
      return {
        oneMore: () => { files++ },
        failed(path, error) {
          // One stands for all.
          if (failures++ === 0) log.warn('a file of a volume cannot be given to the group of its pod', { pod: pod.metadata.name, path, error: asError(error) })
        },
        ends() {
          cancel()
          if (failures > 1) log.warn('files of a volume could not be given to the group of its pod', { pod: pod.metadata.name, dir, files: failures })
        },
      }
    },
  }
}

export async function setOwnership(dir: string, ownership: Ownership, progress?: OwnershipProgress): Promise<void> {
  try {
    if (ownership.policy === 'OnRootMismatch' && (await isRight(dir, ownership))) return
    await walk(dir, ownership, progress)
  } finally {
    progress?.ends()
  }
}

async function isRight(dir: string, { gid, readonly }: Ownership): Promise<boolean> {
  const info = await lstat(dir)
  const wanted = (readonly ? 0o440 : 0o660) | 0o110 | SETGID
  return info.gid === gid && (info.mode & wanted) === wanted
}

async function walk(path: string, ownership: Ownership, progress: OwnershipProgress | undefined): Promise<void> {
  const info = await lstat(path)
  if (info.isDirectory()) for (const name of await readdir(path)) await walk(join(path, name), ownership, progress)
  progress?.oneMore()
  const mask = (ownership.readonly ? 0o440 : 0o660) | (info.isDirectory() ? 0o110 | SETGID : 0)
  await attempt(path, progress, () => lchown(path, info.uid, ownership.gid))
  if (!info.isSymbolicLink()) await attempt(path, progress, () => chmod(path, (info.mode & 0o7777) | mask))
}

/** What nobody watches is the agent's own, where nothing may fail. */
async function attempt(path: string, progress: OwnershipProgress | undefined, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!progress) throw error
    progress.failed(path, error)
  }
}
