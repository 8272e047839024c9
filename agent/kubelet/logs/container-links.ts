/**
 * The links by which log collectors find the logs of containers: `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`
 * (upstream's pkg/kubelet/kuberuntime/legacy.go). A convenience: none of it may keep a container from running.
 */
import { mkdir, readdir, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { hasCode } from '#base/errors.ts'

const SUFFIX = '.log'
/** Of a file's name in ext4. */
const NAME_LENGTH_MAX = 255

export interface LinkedContainer { pod: string; namespace: string; container: string; id: string }

export function containerLink(directory: string, { pod, namespace, container, id }: LinkedContainer): string {
  return join(directory, `${`${pod}_${namespace}_${container}-${id}`.slice(0, NAME_LENGTH_MAX - SUFFIX.length)}${SUFFIX}`)
}

/** Where the runtime has made no log (another log driver) there is nothing to link to. */
export async function linkContainerLog(link: string, logPath: string): Promise<void> {
  if (!await isThere(logPath)) return
  await mkdir(dirname(link), { recursive: true, mode: 0o755 })
  // What an earlier life left: a name that was cut may be that of another container.
  await rm(link, { force: true })
  await symlink(logPath, link)
}

/** Links to logs that are gone: of pods that were cleared away by other means than this agent. */
export async function removeDeadLinks(directory: string): Promise<void> {
  let names: string[]
  try {
    names = await readdir(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  for (const name of names) {
    const link = join(directory, name)
    if (name.endsWith(SUFFIX) && !await isThere(link)) await rm(link, { force: true })
  }
}

/** Of Kubernetes' own directories the two are beside each other. */
export const linkDirectory = (podLogsDir: string): string => join(dirname(podLogsDir), 'containers')

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}
