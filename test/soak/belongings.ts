/**
 * What a node holds for its pods, counted from outside: in the kernel and on its disk. Equal counts before and after
 * mean that nothing leaked.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { LabHost } from '../lab/host.ts'

export type Belongings = Readonly<Record<string, number>>

export function belongingsOf(host: LabHost): Belongings {
  const inside = (...command: string[]): string => {
    const [file = '', ...args] = host.wrap(command)
    return execFileSync(file, args, { encoding: 'utf8', maxBuffer: 64 << 20 })
  }
  const processes = host.processes()
  return {
    'processes in pods and their monitors': processes.filter((p) => !isSkiff(p.command)).length,
    'zombies of skiff': zombiesBelow(processes.filter((p) => isSkiff(p.command)).map((p) => p.pid)),
    'network links': inside('ip', '-o', 'link').trimEnd().split('\n').length,
    'network namespaces': namespaces(host, 'net'),
    'mounts': readFileSync(`/proc/${host.holderPid}/mounts`, 'utf8').trimEnd().split('\n').length,
    'cgroups': cgroups(host.cgroupRoot),
    'rules of the packet filter': inside('nft', 'list', 'ruleset').split('\n').length,
    'neighbours and forwarding entries': inside('ip', '-4', 'neigh').split('\n').length + inside('bridge', 'fdb').split('\n').length,
    'files of the agent, without layers': countEntries(join(host.dataDir, 'agent')),
    'files at run time': countEntries(host.stateDir),
    'log directories': readdirSync(join(host.dir, 'log-pods')).length + readdirSync(join(host.dir, 'log-containers')).length,
    'open files of skiff': processes.filter((p) => isSkiff(p.command)).reduce((n, p) => n + openFiles(p.pid), 0),
  }
}

/** The disk under the data directory, without what the store and the images take; bytes. */
export function diskBytes(host: LabHost): number {
  return Number(execFileSync('du', ['-sxb', host.dataDir], { encoding: 'utf8' }).split('\t')[0])
}

export const isSkiff = (command: string): boolean => / (server|agent) .*--data-dir/.test(command)

function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    // Ended meanwhile.
    return 0
  }
}

function zombiesBelow(parents: readonly number[]): number {
  let found = 0
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const fields = (readFileSync(`/proc/${entry}/stat`, 'utf8').split(') ')[1] ?? '').split(' ')
      if (fields[0] === 'Z' && parents.includes(Number(fields[1]))) found++
    } catch {
      // Ended meanwhile.
    }
  }
  return found
}

/** Of processes on this host, and those kept by a mount. */
function namespaces(host: LabHost, kind: string): number {
  const seen = new Set<string>()
  for (const { pid } of host.processes()) {
    try {
      seen.add(readlinkSync(`/proc/${pid}/ns/${kind}`))
    } catch {
      // Ended meanwhile.
    }
  }
  const pinned = readFileSync(`/proc/${host.holderPid}/mounts`, 'utf8').split('\n').filter((line) => line.startsWith('nsfs ')).length
  return seen.size + pinned
}

function cgroups(root: string): number {
  let found = 0
  for (const controller of ['', ...readdirSync('/sys/fs/cgroup')]) found += directories(join('/sys/fs/cgroup', controller, root))
  return found
}

function directories(path: string): number {
  if (!existsSync(path)) return 0
  let found = 1
  for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) found += directories(join(path, entry.name))
  return found
}

function countEntries(root: string): number {
  if (!existsSync(root)) return 0
  let found = 0
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    found++
    if (entry.isDirectory() && entry.name !== 'layers') found += countEntries(join(root, entry.name))
  }
  return found
}
