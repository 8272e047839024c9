import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { notifySystemd } from './notify-systemd.ts'

const missing = spawnSync('python3', ['--version']).error ? 'python3 plays systemd here' : false

/** Prints one datagram: what systemd would have read, and who sent it. */
const LISTENER = `
import socket, sys, struct
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
data, cred, flags, address = s.recvmsg(4096, 64)
print(data.decode(), struct.unpack("3i", cred[0][2])[0], flush=True)
`

describe('telling systemd', { skip: missing }, () => {
  const root = mkdtempSync(join(tmpdir(), 'skiff-notify-'))
  after(() => rmSync(root, { recursive: true }))

  for (const socket of [join(root, 'notify'), `@skiff-test-${process.pid}`]) {
    it(`sends one datagram of this process to ${socket.startsWith('@') ? 'an abstract name' : 'a path'}`, async () => {
      const listener = spawn('python3', ['-c', LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      listener.stdout.setEncoding('utf8').on('data', (text: string) => { said += text })
      while (!said.includes('bound')) await once(listener.stdout, 'data')
      notifySystemd(socket, 'READY=1')
      await once(listener, 'close')
      assert.equal(said, `bound\nREADY=1 ${process.pid}\n`)
    })
  }

  it('says what is wrong with an address nobody listens at, or that is none', () => {
    assert.throws(() => notifySystemd(join(root, 'nobody'), 'READY=1'), { code: 'NOTIFY_FAILED', message: /sendto .*nobody: ENOENT; systemd-notify: / })
    assert.throws(() => notifySystemd('relative', 'READY=1'), { code: 'NOTIFY_FAILED', message: /NOTIFY_SOCKET "relative" is not the address of a Unix socket/ })
    assert.throws(() => notifySystemd(`/${'x'.repeat(200)}`, 'READY=1'), { code: 'NOTIFY_FAILED', message: /is not the address of a Unix socket/ })
  })
})
