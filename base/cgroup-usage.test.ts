import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { readCgroupUsage, type CgroupRoots } from './cgroup-usage.ts'

/** A cgroup `g` of these files; on version 1 each controller has a directory. */
function cgroup(t: TestContext, version: 1 | 2, files: Record<string, string>): CgroupRoots {
  const root = mkdtempSync(join(tmpdir(), 'usage-'))
  t.after(() => rmSync(root, { recursive: true }))
  const of = (controller: string) => (version === 2 ? root : join(root, controller))
  for (const [path, text] of Object.entries(files)) {
    const [controller = '', file = ''] = path.split('/')
    mkdirSync(join(of(controller), 'g'), { recursive: true })
    writeFileSync(join(of(controller), 'g', file), text)
  }
  return { version, root: of }
}

const V2 = { 'cpu/cpu.stat': 'usage_usec 3000\n', 'memory/memory.current': '1000\n', 'memory/memory.stat': 'anon 600\ninactive_file 300\npgfault 7\npgmajfault 2\n', 'pids/pids.current': '5\n', 'pids/cgroup.procs': '12\n13\n' }
const USED_V2 = { cpuUsageCoreNanoSeconds: 3_000_000, memoryUsageBytes: 1_000, memoryWorkingSetBytes: 700, memoryRssBytes: 600, pageFaults: 7, majorPageFaults: 2, pids: 5, processes: 2 }
const V1 = { 'cpuacct/cpuacct.usage': '3000000\n', 'memory/memory.usage_in_bytes': '1000\n', 'memory/memory.stat': 'total_rss 600\ntotal_inactive_file 300\ntotal_swap 64\ntotal_pgfault 7\ntotal_pgmajfault 2\n', 'pids/pids.current': '5\n', 'pids/cgroup.procs': '12\n13\n' }
const NO_LIMIT_V1 = '9223372036854771712\n'

const cases: readonly [name: string, version: 1 | 2, files: Record<string, string>, usage: object][] = [
  ['version 2 without swap in the kernel: none is used', 2, { ...V2, 'memory/memory.max': 'max\n' }, { ...USED_V2, swap: { usageBytes: 0 } }],
  ['version 2 with limits: what is left of them', 2, { ...V2, 'memory/memory.max': '1500\n', 'memory/memory.swap.current': '64\n', 'memory/memory.swap.max': '100\n' }, { ...USED_V2, memoryAvailableBytes: 800, swap: { usageBytes: 64, availableBytes: 36 } }],
  ['version 2, swap without a limit', 2, { ...V2, 'memory/memory.swap.current': '64\n', 'memory/memory.swap.max': 'max\n' }, { ...USED_V2, swap: { usageBytes: 64 } }],
  ['version 2, no swap allowed, and a limit that was lowered below what is used', 2, { ...V2, 'memory/memory.max': '500\n', 'memory/memory.swap.current': '0\n', 'memory/memory.swap.max': '0\n' }, { ...USED_V2, memoryAvailableBytes: 0, swap: { usageBytes: 0, availableBytes: 0 } }],
  ['version 2 with pressure; an old kernel tells of CPU only how long some waited', 2, { ...V2, 'cpu/cpu.pressure': 'some avg10=1.50 avg60=0.25 avg300=0.00 total=2500\n', 'io/io.pressure': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=4\nfull avg10=0.00 avg60=0.00 avg300=9.00 total=3\n' }, {
    ...USED_V2, swap: { usageBytes: 0 },
    pressure: {
      cpu: { full: { total: 0, avg10: 0, avg60: 0, avg300: 0 }, some: { total: 2_500, avg10: 1.5, avg60: 0.25, avg300: 0 } },
      io: { full: { total: 3, avg10: 0, avg60: 0, avg300: 9 }, some: { total: 4, avg10: 0, avg60: 0, avg300: 0 } },
    },
  }],
  ['version 1 of a kernel that does not count swap: none is used', 1, { ...V1, 'memory/memory.stat': V1['memory/memory.stat'].replace('total_swap 64\n', ''), 'memory/memory.limit_in_bytes': NO_LIMIT_V1 }, { ...USED_V2, swap: { usageBytes: 0 } }],
  ['version 1, the largest number is no limit', 1, { ...V1, 'memory/memory.limit_in_bytes': NO_LIMIT_V1, 'memory/memory.memsw.limit_in_bytes': NO_LIMIT_V1 }, { ...USED_V2, swap: { usageBytes: 64 } }],
  ['version 1 limits memory and swap together: what is above the limit of memory is swap', 1, { ...V1, 'memory/memory.limit_in_bytes': '1500\n', 'memory/memory.memsw.limit_in_bytes': '1600\n' }, { ...USED_V2, memoryAvailableBytes: 800, swap: { usageBytes: 64, availableBytes: 36 } }],
  ['a cgroup that is gone', 2, {}, { cpuUsageCoreNanoSeconds: 0, memoryUsageBytes: 0, memoryWorkingSetBytes: 0, memoryRssBytes: 0, pids: 0 }],
]
for (const [name, version, files, usage] of cases) {
  test(`usage of a cgroup: ${name}`, async (t) => assert.deepStrictEqual(await readCgroupUsage('g', cgroup(t, version, files)), usage))
}
