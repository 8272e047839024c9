import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCgroupLayout } from './cgroups.ts'
import { parseMountTable } from './mount-table.ts'

test('where a controller is mounted more than once, the first mount is the one that counts: a later one may show a part only', () => {
  const table = parseMountTable([
    '30 29 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory', '31 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct', '90 30 0:26 /kubepods /mnt/part rw - cgroup cgroup rw,memory',
  ].join('\n'))
  assert.deepEqual([...readCgroupLayout(table).controllers], [['memory', '/sys/fs/cgroup/memory'], ['cpu', '/sys/fs/cgroup/cpu'], ['cpuacct', '/sys/fs/cgroup/cpu']])
})
