/**
 * Processes with a share of a processor each, by cgroup v1 or v2: servers that have a machine each on the way to the bench's
 * results, though they share this one.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../lab/cluster.ts'

/** Short, so that nobody waits long for the next turn. */
const PERIOD_US = 10_000

const V1 = '/sys/fs/cgroup/cpu'
const V2 = '/sys/fs/cgroup'

/** Until the returned function is called: these processes together get `share` of one processor. */
export function limitCpu(name: string, pids: readonly number[], share: number): () => Promise<void> {
  const isV1 = existsSync(join(V1, 'cpu.cfs_quota_us'))
  const dir = join(isV1 ? V1 : V2, `skiff-bench-${process.pid}-${name}`)
  if (!isV1) writeFileSync(join(V2, 'cgroup.subtree_control'), '+cpu')
  mkdirSync(dir)
  const quota = String(Math.round(PERIOD_US * share))
  if (isV1) {
    writeFileSync(join(dir, 'cpu.cfs_period_us'), String(PERIOD_US))
    writeFileSync(join(dir, 'cpu.cfs_quota_us'), quota)
  } else writeFileSync(join(dir, 'cpu.max'), `${quota} ${PERIOD_US}`)
  for (const pid of pids) writeFileSync(join(dir, 'cgroup.procs'), String(pid))
  return async () => {
    const left = () => readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter((l) => l !== '')
    for (const pid of left()) writeFileSync(join(isV1 ? V1 : V2, 'cgroup.procs'), pid)
    await until('nobody is in the cgroup', 5_000, () => left().length === 0)
    rmdirSync(dir)
  }
}
