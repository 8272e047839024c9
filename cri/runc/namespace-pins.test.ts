import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { missingForContainers } from '#test/images/runtime-machine.ts'
import { pinNamespaces, unpin } from './namespace-pins.ts'

describe('a sandbox without a process', { skip: await missingForContainers() }, () => {
  function world(t: TestContext) {
    const dir = mkdtempSync(join(tmpdir(), 'pins-'))
    t.after(async () => {
      await unpin([dir], systemClock)
      rmSync(dir, { recursive: true, force: true })
    })
    const pins = { net: join(dir, 'net'), ipc: join(dir, 'ipc'), uts: join(dir, 'uts'), shm: join(dir, 'shm') }
    const inside = (script: string) => execFileSync('nsenter', [`--net=${pins.net}`, `--ipc=${pins.ipc}`, `--uts=${pins.uts}`, 'sh', '-c', script], { encoding: 'utf8' })
    return { dir, pins, inside }
  }
  const ours = () => ['net', 'ipc', 'uts', 'mnt'].map((name) => readlinkSync(`/proc/thread-self/ns/${name}`))

  test('has its name, its loopback, its sysctls and its shared memory; the agent is where it was', async (t) => {
    const { pins, inside } = world(t)
    const before = ours()
    await pinNamespaces({ ...pins, hostname: 'web-0', sysctls: { 'net.ipv4.ip_local_port_range': '20000 30000', 'kernel/shm_rmid_forced': '1' } }, systemClock)
    assert.deepEqual(ours(), before)
    assert.equal(inside('hostname; ip -o -4 addr show dev lo up | grep -o 127.0.0.1/8; cat /proc/sys/net/ipv4/ip_local_port_range | tr "\\t" " "; cat /proc/sys/kernel/shm_rmid_forced'), 'web-0\n127.0.0.1/8\n20000 30000\n1\n')
    assert.match(execFileSync('findmnt', ['-n', '-o', 'FSTYPE,OPTIONS', pins.shm], { encoding: 'utf8' }), /^tmpfs\s+rw,nosuid,nodev,noexec,.*size=65536k/)
  })

  test('that cannot be set up is told of, and the agent is where it was all the same', async (t) => {
    const before = ours()
    for (const [name, value, why] of [['net.ipv4.no_such_thing', '1', 'ENOENT'], ['net.ipv4.ip_forward', 'maybe', 'EINVAL']] as const) {
      await assert.rejects(pinNamespaces({ ...world(t).pins, hostname: 'x', sysctls: { [name]: value } }, systemClock), (error: Error) => {
        assert.equal((error as { code?: string }).code, 'CRI_INVALID')
        assert.ok(error.message.startsWith(`failed to set sandbox sysctls: sysctl ${name.replaceAll('.', '/')}: ${why}`), error.message)
        return true
      })
    }
    assert.deepEqual(ours(), before)
  })
})
