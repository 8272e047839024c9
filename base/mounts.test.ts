import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { detachMount, mountFileSystem, MOUNT_FLAGS } from './mounts.ts'

describe('mounts by system calls', { skip: process.getuid?.() === 0 ? false : 'mounting needs root' }, () => {
  const mountsAt = (path: string) => readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.split(' ')[4] === path)

  test('a tmpfs has its flags and options; it goes with its last user', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'mounts-'))
    t.after(() => rmSync(dir, { recursive: true }))
    mountFileSystem({ type: 'tmpfs', source: 'shm', target: dir, flags: MOUNT_FLAGS.noSuid + MOUNT_FLAGS.noDev + MOUNT_FLAGS.noExec, options: 'mode=1777,size=65536' })
    const [line = ''] = mountsAt(dir)
    assert.match(line, / rw,nosuid,nodev,noexec,relatime .*- tmpfs shm rw,size=64k/)
    writeFileSync(join(dir, 'kept'), 'here')
    const user = await open(join(dir, 'kept'))
    await detachMount(dir)
    assert.deepEqual([mountsAt(dir), existsSync(join(dir, 'kept')), await user.readFile('utf8')], [[], false, 'here'])
    await user.close()
    await detachMount(dir)
  })

  test('of two mounts on one place the upper goes first', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'mounts-'))
    t.after(() => rmSync(dir, { recursive: true }))
    for (const name of ['lower', 'upper']) {
      mountFileSystem({ type: 'tmpfs', source: name, target: dir })
      writeFileSync(join(dir, 'name'), name)
    }
    await detachMount(dir)
    assert.equal(readFileSync(join(dir, 'name'), 'utf8'), 'lower')
    await detachMount(dir)
    assert.deepEqual(mountsAt(dir), [])
  })

  test('what the kernel refuses is told by errno and place', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'mounts-'))
    t.after(() => rmSync(dir, { recursive: true }))
    mkdirSync(join(dir, 'at'))
    const target = join(dir, 'at')
    assert.throws(() => mountFileSystem({ type: 'nosuchfs', source: 'none', target }), { code: 'ENODEV', message: `mount nosuchfs on ${target}: ENODEV` })
    assert.throws(() => mountFileSystem({ type: 'tmpfs', source: 'none', target, options: 'nosuchoption' }), { code: 'EINVAL' })
    await assert.rejects(detachMount(join(dir, 'none')), { code: 'ENOENT' })
  })
})
