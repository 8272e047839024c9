import assert from 'node:assert/strict'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemMounter } from './mounter.ts'

describe('a mount that fails', () => {
  it('is told as kubelets tell it: how the program ended, what it was asked, what it said', async () => {
    const target = mkdtempSync(join(tmpdir(), 'mounter-'))
    await assert.rejects(systemMounter.mount('none-such', 'from', target, ['ro', 'noatime']), ({ code, message }: Error & { code?: unknown }) => {
      const [how, command, args, output = ''] = message.split('\n')
      assert.deepEqual([code, command, args], ['MOUNT_FAILED', 'Mounting command: mount', `Mounting arguments: -t none-such -o ro,noatime from ${target}`])
      assert.match(how ?? '', /^mount failed: exit status \d+$/)
      assert.match(output, /^Output: mount: \S/)
      return true
    })
    rmdirSync(target)
  })
})
