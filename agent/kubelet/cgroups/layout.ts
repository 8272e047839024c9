/** Which cgroup hierarchies this machine has, read off its mount table. Pure. */

export interface CgroupLayout {
  /** v2: one tree at `root` with all controllers. v1 (also hybrid): one tree per controller. */
  version: 1 | 2
  /** Controller name to mount point; on v2 only `''`. */
  roots: ReadonlyMap<string, string>
  /** Hybrid: the unified tree beside v1, where runtimes make a directory too. */
  unified: string | undefined
}

const CONTROLLERS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'blkio', 'devices', 'freezer', 'hugetlb', 'net_cls', 'net_prio', 'perf_event', 'systemd']

/** From `/proc/self/mountinfo`. A unified tree beside v1 controllers (hybrid) carries none, so v1 it is. */
export function parseCgroupLayout(mountinfo: string): CgroupLayout | undefined {
  const v1 = new Map<string, string>()
  let unified: string | undefined
  for (const line of mountinfo.split('\n')) {
    const [left, right] = line.split(' - ')
    const [type, , options = ''] = (right ?? '').split(' ')
    const mountPoint = (left ?? '').split(' ')[4]
    if (mountPoint === undefined) continue
    if (type === 'cgroup2') unified ??= mountPoint
    if (type !== 'cgroup') continue
    for (const option of options.split(',')) {
      const name = option.replace(/^name=/, '')
      if (CONTROLLERS.includes(name) && !v1.has(name)) v1.set(name, mountPoint)
    }
  }
  if (v1.has('memory') || v1.has('cpu') || v1.has('pids')) return { version: 1, roots: v1, unified }
  if (unified !== undefined) return { version: 2, roots: new Map([['', unified]]), unified: undefined }
  return undefined
}
