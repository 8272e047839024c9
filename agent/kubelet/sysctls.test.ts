import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dottedSysctl, forbiddenSysctl } from './sysctls.ts'
import { aPod } from './testing/builders.ts'

const asked = (spec: object, allowed: string[], ...names: string[]) => forbiddenSysctl(aPod({ ...spec, securityContext: { sysctls: names.map((name) => ({ name, value: '1' })) } }), allowed)

const table: [string, string | undefined, string | undefined][] = [
  ['no settings', asked({}, []), undefined],
  ['safe ones', asked({}, [], 'kernel.shm_rmid_forced', 'net.ipv4.ping_group_range', 'net/ipv4/tcp_rmem'), undefined],
  ['the first that is not', asked({}, [], 'net.ipv4.tcp_wmem', 'net.core.somaxconn', 'kernel.msgmax'), '"net.core.somaxconn" not allowlisted'],
  ['safe ones are the host\'s where its namespace is', asked({ hostNetwork: true }, [], 'net.ipv4.tcp_syncookies'), '"net.ipv4.tcp_syncookies" not allowed with host Net enabled'],
  ['or its IPC', asked({ hostIPC: true }, [], 'kernel.shm_rmid_forced'), '"kernel.shm_rmid_forced" not allowed with host IPC enabled'],
  ['the other namespace does not matter', asked({ hostIPC: true }, [], 'net.ipv4.tcp_syncookies'), undefined],
  ['allowed by name', asked({}, ['net/core/somaxconn'], 'net.core.somaxconn'), undefined],
  ['allowed by its beginning', asked({}, ['kernel.msg*', 'fs.mqueue.*'], 'kernel.msgmax', 'fs.mqueue.msg_max'), undefined],
  ['a beginning that is another\'s', asked({}, ['net.core.*'], 'net.ipv4.tcp_mem'), '"net.ipv4.tcp_mem" not allowlisted'],
  ['allowed, but the host\'s', asked({ hostNetwork: true }, ['net.*'], 'net.core.somaxconn'), '"net.core.somaxconn" not allowed with host Net enabled'],
  ['what all pods share is nobody\'s to allow', asked({}, ['*', 'vm.swappiness'], 'vm.swappiness'), '"vm.swappiness" not allowlisted'],
]
for (const [name, actual, expected] of table) test(`sysctls: ${name}`, () => assert.equal(actual, expected))

test('names are parted by whichever separator comes first', () => {
  assert.deepEqual(['net.ipv4.conf.eth0/1.x', 'net/ipv4/conf/eth0.1/x', 'kernel.sem', 'kernel/sem'].map(dottedSysctl), ['net.ipv4.conf.eth0/1.x', 'net.ipv4.conf.eth0/1.x', 'kernel.sem', 'kernel.sem'])
})
