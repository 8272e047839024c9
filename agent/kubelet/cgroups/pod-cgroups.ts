/** The agent's part of the cgroup tree: `<root>/kubepods[/<qos>]/pod<uid>`, with the pod's own limits. Containers below are the runtime's. */
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readCgroupUsage, type CgroupUsage } from '#base/cgroup-usage.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Pod } from '#api/types/index.ts'
import { CPU_PERIOD_US, cpuShares, podCgroupLimits, podCgroupPath } from '../resources.ts'
import { parseCgroupLayout, type CgroupLayout } from './layout.ts'
import { cgroupSettings, type GroupLimits } from './settings.ts'

/** `path`: of its cgroup, below each controller's root. */
export interface PodUsage extends CgroupUsage { path: string }

export interface PodCgroups {
  /** Of the machine's trees. */
  readonly version: CgroupLayout['version']
  /** Makes it what it should be; returns its path below each controller's root. */
  ensure(pod: Pod): Promise<string>
  /** Before its containers grow, or while some of them have more than they should: its limits rise to what they should be, none falls. Returns its path. */
  grow(pod: Pod): Promise<string>
  /** Bytes that its containers use together, less the page cache that can be dropped; undefined where there is no memory controller. */
  memoryWorkingSet(pod: Pod): Promise<number | undefined>
  /** Holds all pods together to so much (upstream's node allocatable); what is undefined is not limited. Throws CGROUP_FAILED where the kernel will not have it. */
  holdPods(limits: { cpuMilli: number; memoryBytes?: number; pids?: number }): Promise<void>
  /** All that it uses: what its containers do, and have done before they ended. Undefined: it has no cgroup. */
  usage(pod: Pod): Promise<PodUsage | undefined>
  /** Of all pods together. */
  podsUsage(): Promise<CgroupUsage | undefined>
  /** Of all pods together; undefined where nothing limits them. */
  podsMemory(): Promise<{ limitBytes: number; workingSetBytes: number } | undefined>
  /** Succeeds when there is nothing left, whatever class the pod was in. */
  remove(podUid: string): Promise<void>
  /** Uids that have a cgroup here: after a crash some may have no pod. */
  list(): Promise<string[]>
}

/** `cpuPeriodUs`: in which a CPU limit is counted, 0: none is held; default 100 ms. */
export interface PodCgroupsOptions { root: string; pidsLimit: number; cpuPeriodUs?: number; clock: Clock; log: Log; layout?: CgroupLayout }

/** Of version 1; version 2 has quota and period in one file. */
const PERIOD_FILE = 'cpu.cfs_period_us'
const CLASSES = ['', '/burstable', '/besteffort']
/** What the kernel takes at least, and best-effort pods get together (upstream's qosContainerManager). */
const SHARES_MIN = 2
/** A cgroup stays busy for a moment after its last process: 20 tries, 25 ms apart. */
const REMOVE_TRIES = 20
const REMOVE_RETRY_MS = 25

export async function createPodCgroups(options: PodCgroupsOptions): Promise<PodCgroups> {
  const { root, clock, log, cpuPeriodUs = CPU_PERIOD_US } = options
  const layout = options.layout ?? parseCgroupLayout(await readFile('/proc/self/mountinfo', 'utf8'))
  if (!layout) throw new CodedError('CGROUP_MISSING', 'no cgroup file system is mounted: mount cgroup2 at /sys/fs/cgroup')
  const made = new Set<string>()
  /** On v1 one directory per distinct tree: cpu and cpuacct are often the same. */
  const trees = [...new Set(layout.roots.values())]
  const missingFiles = new Set<string>()

  const dirsOf = (path: string) => trees.map((tree) => join(tree, path))

  const makeGroup = async (path: string): Promise<void> => {
    if (made.has(path)) return
    const at = path.lastIndexOf('/')
    const parent = path.slice(0, at)
    if (parent !== '') await makeGroup(parent)
    if (layout.version === 2) await delegate(join(trees[0] ?? '', parent))
    for (const dir of dirsOf(path)) await mkdir(dir, { recursive: true })
    if (layout.version === 1) await inheritCpuset(path)
    made.add(path)
  }

  /** v2: children only get the controllers their parent hands down. */
  const delegate = async (dir: string): Promise<void> => {
    const available = (await readFile(join(dir, 'cgroup.controllers'), 'utf8')).trim().split(/\s+/).filter((c) => ['cpu', 'cpuset', 'memory', 'pids', 'io', 'hugetlb'].includes(c))
    for (const controller of available) {
      try {
        await writeFile(join(dir, 'cgroup.subtree_control'), `+${controller}`)
      } catch (error) {
        log.debug('controller is not delegated', { dir, controller, error })
      }
    }
  }

  /** v1: a new cpuset is empty and takes no process until it has CPUs and memory nodes. */
  const inheritCpuset = async (path: string): Promise<void> => {
    const tree = layout.roots.get('cpuset')
    if (tree === undefined) return
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const own = (await readFile(join(tree, path, file), 'utf8')).trim()
      if (own !== '') continue
      const above = (await readFile(join(tree, path, '..', file), 'utf8')).trim()
      if (above !== '') await writeFile(join(tree, path, file), above)
    }
  }

  const set = async (path: string, limits: GroupLimits, growOnly = false): Promise<void> => {
    for (const { controller, file, value } of cgroupSettings(layout, limits, cpuPeriodUs || CPU_PERIOD_US)) {
      const full = join(layout.roots.get(layout.version === 2 ? '' : controller) ?? '', path, file)
      try {
        if (growOnly && !isMore(value, await readFile(full, 'utf8'))) continue
        if (file === PERIOD_FILE) {
          if ((await readFile(full, 'utf8')).trim() === value) continue
          // With the quota of another period it could be less than what is below has: it is set next.
          await writeFile(join(dirname(full), 'cpu.cfs_quota_us'), '-1')
        }
        await writeFile(full, value)
      } catch (error) {
        if (hasCode(error, 'ENOENT')) {
          // The kernel was built or booted without this controller: said once, pods run without its limit.
          if (!missingFiles.has(file)) log.warn('this kernel has no such cgroup limit; on Raspberry Pi OS add cgroup_enable=memory cgroup_memory=1 to /boot/firmware/cmdline.txt', { file })
          missingFiles.add(file)
        } else {
          throw new CodedError('CGROUP_FAILED', `${full}: cannot write ${value}`, { cause: error })
        }
      }
    }
  }

  const workingSet = async (path: string): Promise<number | undefined> => {
    const tree = layout.roots.get(layout.version === 2 ? '' : 'memory')
    if (tree === undefined) return undefined
    const dir = join(tree, path)
    const [usage, inactive] = layout.version === 2 ? ['memory.current', 'inactive_file'] : ['memory.usage_in_bytes', 'total_inactive_file']
    try {
      const [used, stat] = [Number(await readFile(join(dir, usage), 'utf8')), await readFile(join(dir, 'memory.stat'), 'utf8')]
      return Math.max(0, used - Number(new RegExp(`^${inactive} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0))
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined // A kernel without the controller, or a pod that has no cgroup yet.
      throw error
    }
  }
  const usage = async (path: string): Promise<CgroupUsage | undefined> => {
    const isThere = await access(join(trees[0] ?? '', path)).then(() => true, () => false) // Whatever is wrong with it: nothing can be read there.
    return isThere ? readCgroupUsage(path, { version: layout.version, root: (controller) => layout.roots.get(layout.version === 2 ? '' : controller) }) : undefined
  }
  let podsLimitBytes: number | undefined

  /** Of the pods that have a cgroup, by uid. */
  const held = new Map<string, { qos: string; limits: GroupLimits }>()
  /** What all pods are held to, if anything. */
  let allPods: GroupLimits | undefined
  const written = new Map<string, string>()
  /**
   * Classes have what their pods have together: a pod of each counts beside the others by what it asks for, and the kernel
   * protects no more of a pod's memory than of the cgroup above it (upstream's qosContainerManager).
   */
  const classLimits = (): Record<string, GroupLimits> => {
    const of = (qos: string, figure: 'cpuShares' | 'memoryMinBytes' | 'memoryLowBytes') => held.values().reduce((sum, pod) => sum + (pod.qos === qos ? (pod.limits[figure] ?? 0) : 0), 0)
    const memoryLowBytes = of('/burstable', 'memoryLowBytes')
    return {
      ...(allPods && { '': { ...allPods, memoryMinBytes: of('', 'memoryMinBytes'), memoryLowBytes } }),
      '/burstable': { cpuShares: Math.max(SHARES_MIN, of('/burstable', 'cpuShares')), memoryLowBytes },
      '/besteffort': { cpuShares: SHARES_MIN },
    }
  }
  let settingClasses = Promise.resolve()
  /** One after the other: what is written last is what holds. */
  const setClasses = (): Promise<void> => {
    const turn = settingClasses.then(async () => {
      for (const [qos, limits] of Object.entries(classLimits())) {
        const path = `${root}/kubepods${qos}`
        const text = JSON.stringify(limits)
        if (!made.has(path) || written.get(path) === text) continue
        await set(path, limits)
        written.set(path, text)
      }
    })
    settingClasses = turn.catch(() => { /* who asked for it was told */ })
    return turn
  }
  /** What a pod has of its own holds all the same; with the next pod it is tried again. */
  const trySetClasses = () => setClasses().catch((error: unknown) => log.warn('the cgroups above the pods are not what they should be', { error: asError(error) }))

  return {
    version: layout.version,
    async ensure(pod) {
      const path = podCgroupPath(root, pod)
      // After a wipe by hand the cache of made groups would lie.
      try {
        await readdir(join(trees[0] ?? '', path))
      } catch (error) {
        if (!hasCode(error, 'ENOENT')) throw error
        made.clear()
        written.clear()
      }
      await makeGroup(path)
      const limits = podCgroupLimits(pod, cpuPeriodUs)
      await set(path, { ...limits, ...(options.pidsLimit > 0 && { pidsLimit: options.pidsLimit }) })
      held.set(pod.metadata?.uid ?? '', { qos: CLASSES.findLast((c) => path.startsWith(`${root}/kubepods${c}/`)) ?? '', limits })
      await trySetClasses()
      return path
    },
    async grow(pod) {
      const path = podCgroupPath(root, pod)
      await set(path, podCgroupLimits(pod, cpuPeriodUs), true)
      return path
    },
    memoryWorkingSet: (pod) => workingSet(podCgroupPath(root, pod)),
    async usage(pod) {
      const path = podCgroupPath(root, pod)
      const used = await usage(path)
      return used && { path, ...used }
    },
    podsUsage: () => usage(`${root}/kubepods`),
    async holdPods({ cpuMilli, memoryBytes, pids }) {
      const path = `${root}/kubepods`
      await makeGroup(path)
      podsLimitBytes = undefined
      allPods = { cpuShares: cpuShares(cpuMilli), ...(memoryBytes !== undefined && { memoryLimitBytes: memoryBytes }), ...(pids !== undefined && { pidsLimit: pids }) }
      written.delete(path)
      try {
        await setClasses()
      } catch (error) {
        // Not tried again with each pod: who asked was told.
        allPods = undefined
        throw error
      }
      podsLimitBytes = memoryBytes
    },
    async podsMemory() {
      const used = podsLimitBytes === undefined ? undefined : await workingSet(`${root}/kubepods`)
      return used === undefined || podsLimitBytes === undefined ? undefined : { limitBytes: podsLimitBytes, workingSetBytes: used }
    },
    async remove(uid) {
      for (const qos of CLASSES) {
        const path = `${root}/kubepods${qos}/pod${uid}`
        for (const dir of [...dirsOf(path), ...(layout.unified === undefined ? [] : [join(layout.unified, path)])]) await removeTree(dir, clock)
        made.delete(path)
      }
      if (held.delete(uid)) await trySetClasses()
    },
    async list() {
      const uids = new Set<string>()
      for (const qos of CLASSES) {
        for (const dir of dirsOf(`${root}/kubepods${qos}`)) {
          try {
            for (const name of await readdir(dir)) if (name.startsWith('pod')) uids.add(name.slice(3))
          } catch (error) {
            if (!hasCode(error, 'ENOENT')) throw error
          }
        }
      }
      return [...uids]
    },
  }
}

/** `max` and -1 are no limit; `cpu.max` leads with its quota. */
function isMore(value: string, now: string): boolean {
  const amount = (text: string) => {
    const first = text.trim().split(/\s+/)[0] ?? ''
    return first === 'max' || first.startsWith('-') ? Infinity : Number(first)
  }
  return amount(value) > amount(now)
}

async function removeTree(dir: string, clock: Clock): Promise<void> {
  let children: string[]
  try {
    children = (await readdir(dir, { withFileTypes: true })).filter((e) => e.isDirectory()).map((e) => e.name)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  for (const child of children) await removeTree(join(dir, child), clock)
  for (let tries = 1; ; tries++) {
    try {
      await rmdir(dir)
      return
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return
      if (!hasCode(error, 'EBUSY') || tries >= REMOVE_TRIES) throw new CodedError('CGROUP_BUSY', `${dir}: cannot be removed, processes may still be in it`, { cause: error })
    }
    await clock.sleep(REMOVE_RETRY_MS)
  }
}
