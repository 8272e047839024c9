import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CodedError } from './errors.ts'
import { createLog } from './log.ts'

const logged = (error: Error): unknown => {
  const lines: string[] = []
  createLog({ format: 'json', level: 'info', nowMs: () => 0, write: (line) => lines.push(line) }).warn('failed', { error })
  return (JSON.parse(lines.join('')) as { error: unknown }).error
}

describe('an error in the log', () => {
  it('is told with its code and all that was underneath', () => {
    const disk = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    assert.equal(logged(new CodedError('WRITE_FAILED', 'the file cannot be written', { cause: new Error('the store is full', { cause: disk }) })), 'WRITE_FAILED: the file cannot be written (the store is full (ENOSPC: no space left on device))')
  })

  it('does not say again what was said above', () => {
    const program = new Error('Command failed: mount\nno such device\n')
    assert.equal(logged(new CodedError('VOLUME_FAILED', 'volume "data": mount: no such device', { cause: new CodedError('COMMAND_FAILED', 'mount: no such device', { cause: new Error('no such device', { cause: program }) }) })), 'VOLUME_FAILED: volume "data": mount: no such device (Command failed: mount\nno such device\n)')
  })
})
