/** Pods of this data directory: sandboxes and containers through the runtime that made them, then what it could not know of. */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { createEmbeddedRuntime } from '#cri/index.ts'
import { cgroupDirectories, readCgroupLayout } from '#cri/runc/cgroups.ts'
import { unmountBelow } from '#cri/runc/namespace-pins.ts'
import { identify, signalProcess } from '#cri/runc/process-identity.ts'
import { clock, random } from '../environment.ts'
import { entriesOf, ownPaths, DATA_ENTRIES, STATE_ENTRIES } from './ownership.ts'
import { podPaths, podUids, removePodFiles } from './pod-files.ts'
import type { Removal } from './removal.ts'

const POD_LOGS = '/var/log/pods'
const CONTAINER_LOGS = '/var/log/containers'
const QOS_CLASSES = ['', '/burstable', '/besteffort']
const GONE_MS_MAX = 10_000
const LOOK_MS = 20

export async function removePods(removal: Removal): Promise<void> {
  const { dataDir, stateDir, say } = removal
  const uids = podUids(removal)
  const problem = await removeThroughRuntime(removal).then(() => undefined, (error: unknown) => asError(error))
  for (const uid of uids) await removePodCgroups(removal, uid)
  removeSharedCgroups(removal)
  await unmountBelow([...ownPaths(stateDir, STATE_ENTRIES), ...ownPaths(dataDir, DATA_ENTRIES), ...podPaths(removal, uids)], clock)
  if (removePodFiles(removal, uids)) say(`removed ${removal.rootDir}`)
  removeLogs(uids)
  // With its processes killed and its mounts gone nothing is left that needs the runtime's own way.
  if (problem) say(`the runtime could not remove its pods (${problem.message}): their processes were killed instead`)
  if (uids.length > 0) say(`removed ${uids.length} ${uids.length === 1 ? 'pod' : 'pods'}`)
}

async function removeThroughRuntime({ dataDir, stateDir, cgroupRoot, say }: Removal): Promise<void> {
  const agentDir = join(dataDir, 'agent')
  if (!existsSync(join(agentDir, 'sandboxes'))) return
  const network = { setup: () => Promise.reject(new Error('no pods are made while skiff is uninstalled')), teardown: () => Promise.resolve(), notReadyReason: () => 'uninstalling' }
  const runtime = await createEmbeddedRuntime({ dataDir: agentDir, stateDir, cgroupRoot, network, clock, random, log: silentLog, selfCommand: ['false'] })
  try {
    const containers = await runtime.listContainers()
    for (const sandbox of await runtime.listPodSandbox()) await runtime.removePodSandbox(sandbox.id)
    for (const container of await runtime.listContainers()) await runtime.removeContainer(container.id)
    if (containers.length > 0) say(`removed ${containers.length} ${containers.length === 1 ? 'container' : 'containers'}`)
  } finally {
    await runtime.close()
  }
}

async function removePodCgroups({ cgroupRoot }: Removal, uid: string): Promise<void> {
  const layout = readCgroupLayout()
  for (const qos of QOS_CLASSES) {
    for (const directory of new Set(cgroupDirectories(`${cgroupRoot}/kubepods${qos}/pod${uid}`, layout))) {
      const deadlineMs = clock.monotonicMs() + GONE_MS_MAX
      while (existsSync(directory) && !removeEmptyTree(directory)) {
        for (const pid of processesBelow(directory)) {
          const process = identify(pid)
          if (process) signalProcess(process, 'SIGKILL')
        }
        if (clock.monotonicMs() > deadlineMs) throw new CodedError('CGROUP_BUSY', `${directory}: its processes do not end`)
        await clock.sleep(LOOK_MS)
      }
    }
  }
}

/** Only where empty: another kubelet on this machine may use them. */
function removeSharedCgroups({ cgroupRoot }: Removal): void {
  const layout = readCgroupLayout()
  for (const path of [`${cgroupRoot}/kubepods/burstable`, `${cgroupRoot}/kubepods/besteffort`, `${cgroupRoot}/kubepods`, ...(cgroupRoot === '' ? [] : [cgroupRoot])]) {
    for (const directory of cgroupDirectories(path, layout)) removeIfEmpty(directory)
  }
}

/** Deepest first; false when something is still in it. */
function removeEmptyTree(directory: string): boolean {
  for (const entry of readdirSync(directory, { withFileTypes: true })) if (entry.isDirectory() && !removeEmptyTree(join(directory, entry.name))) return false
  return removeIfEmpty(directory)
}

function removeIfEmpty(directory: string): boolean {
  try {
    rmdirSync(directory)
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true
    if (hasCode(error, 'EBUSY') || hasCode(error, 'ENOTEMPTY')) return false
    throw error
  }
}

function processesBelow(directory: string): number[] {
  const below = readdirSync(directory, { withFileTypes: true }).filter((e) => e.isDirectory()).flatMap((e) => processesBelow(join(directory, e.name)))
  return [...below, ...readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').filter((l) => l !== '' && l !== '0').map(Number)]
}

function removeLogs(uids: readonly string[]): void {
  for (const name of entriesOf(POD_LOGS)) if (uids.some((uid) => name.endsWith(`_${uid}`))) rmSync(join(POD_LOGS, name), { recursive: true, force: true })
  // Links into the directories that have just gone.
  for (const name of entriesOf(CONTAINER_LOGS)) if (!existsSync(join(CONTAINER_LOGS, name))) rmSync(join(CONTAINER_LOGS, name), { force: true })
}
