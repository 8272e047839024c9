import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { CodedError, UsageError } from '#base/errors.ts'
import { writeOutput } from './write-output.ts'

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'skiff-output-'))
  t.after(() => rmSync(dir, { recursive: true }))
  return dir
}
const collector = (more: object = {}) => {
  const told: string[] = []
  return { told, stdout: Object.assign(new Writable({ write: (chunk: Buffer, _, done) => { told.push(chunk.toString()); done() } }), more) }
}
async function* parts(...texts: (string | (() => void))[]): AsyncGenerator<Buffer> {
  for (const part of texts) {
    if (typeof part === 'function') part()
    else yield await Promise.resolve(Buffer.from(part))
  }
}
const failing = () => { throw new Error('no more') }

test('a file appears when it is whole, in place of the one that was there', async (t) => {
  const dir = directory(t)
  const path = join(dir, 'out')
  writeFileSync(path, 'old and longer')
  const seen: string[] = []
  await writeOutput(path, parts('a', () => seen.push(readFileSync(path, 'utf8')), 'b'), { ...collector(), signals: new EventEmitter() })
  assert.deepEqual([seen, readFileSync(path, 'utf8'), readdirSync(dir)], [['old and longer'], 'ab', ['out']])
})

test('what fails or is interrupted on the way leaves nothing, and what was there', async (t) => {
  const dir = directory(t)
  const path = join(dir, 'out')
  writeFileSync(path, 'old')
  const signals = new EventEmitter()
  await assert.rejects(writeOutput(path, parts('a', failing), { ...collector(), signals }), (e) => e instanceof CodedError && e.message === `${path} was not written: no more`)
  await assert.rejects(writeOutput(path, parts('a', () => signals.emit('SIGTERM', 'SIGTERM'), 'b'), { ...collector(), signals }), { message: `${path} was not written: interrupted by SIGTERM` })
  assert.deepEqual([readFileSync(path, 'utf8'), readdirSync(dir), signals.eventNames()], ['old', ['out'], []])
  await assert.rejects(writeOutput(join(dir, 'none/out'), parts('a'), { ...collector(), signals }), /none\/out was not written: ENOENT/)
})

test('without a name it goes to standard output, but not to a terminal', async () => {
  const { stdout, told } = collector()
  await writeOutput(undefined, parts('a', 'b'), { stdout, signals: new EventEmitter() })
  assert.equal(told.join(''), 'ab')
  await assert.rejects(writeOutput(undefined, parts('a'), { stdout: collector({ isTTY: true }).stdout, signals: new EventEmitter() }), UsageError)
  const closed = new Writable({ write: (_, __, done) => done(Object.assign(new Error('EPIPE: broken pipe'), { code: 'EPIPE' })) })
  await assert.rejects(writeOutput(undefined, parts('a'), { stdout: closed, signals: new EventEmitter() }), { code: 'OUTPUT_FAILED', message: 'standard output cannot be written: EPIPE: broken pipe' })
})
