import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { LogOptions } from '../streams.ts'
import { criTimeNano, parseCriLine } from './cri-log.ts'
import { createLogFilter } from './log-filter.ts'
import { readLogs } from './read-logs.ts'
import { rotateLog } from './rotate-logs.ts'
import { tailOffset } from './tail-file.ts'

const NOW = Date.UTC(2026, 0, 1, 0, 1)
const LOG = ['2026-01-01T00:00:01.000000001Z stdout F one', '2026-01-01T00:00:02.5Z stderr F two', '2026-01-01T00:00:03Z stdout P thr', '2026-01-01T00:00:03Z stdout F ee', 'half a li', '2026-01-01T00:00:59Z stdout F four'].join('\n') + '\n'

function world(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'logs-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const path = join(dir, '0.log')
  const container = { running: false, ended: new Set<() => void>() }
  const stop = new AbortController()
  let text = ''
  const waiting: { pattern: string; resolve: () => void }[] = []
  const read = (options: LogOptions) => readLogs({
    path, options, nowMs: NOW, signal: stop.signal, isRunning: () => Promise.resolve(container.running),
    onEnd: (l) => { container.ended.add(l); return () => { container.ended.delete(l) } },
    sink: { write: (chunk) => { text += chunk.toString('utf8'); for (const w of waiting) if (text.includes(w.pattern)) w.resolve(); return Promise.resolve() } },
  })
  const seen = (pattern: string) => new Promise<void>((resolve) => { waiting.push({ pattern, resolve }); if (text.includes(pattern)) resolve() })
  return { dir, path, container, stop, read, seen, text: () => text }
}

const table: [string, LogOptions, string][] = [
  ['everything, parts joined, what is no record left out', {}, 'one\ntwo\nthree\nfour\n'],
  ['the last lines', { tailLines: 2 }, 'four\n'],
  ['none of them', { tailLines: 0 }, ''],
  ['with their times', { timestamps: true, tailLines: 1 }, '2026-01-01T00:00:59Z four\n'],
  ['a line in parts has one time', { timestamps: true, limitBytes: 113 }, '2026-01-01T00:00:01.000000001Z one\n2026-01-01T00:00:02.5Z two\n2026-01-01T00:00:03Z three\n2026-01-01T00:00:59Z fou'],
  ['since a time', { sinceTime: '2026-01-01T00:00:02.4Z' }, 'two\nthree\nfour\n'],
  ['since seconds ago', { sinceSeconds: 30 }, 'four\n'],
  ['so many bytes', { limitBytes: 5 }, 'one\nt'],
  ['one stream', { stream: 'Stderr' }, 'two\n'],
]
for (const [name, options, expected] of table) {
  test(`logs: ${name}`, async (t) => {
    const w = world(t)
    writeFileSync(w.path, LOG)
    await w.read(options)
    assert.equal(w.text(), expected)
  })
}

test('a log that is not there yet is empty, a wrong time is refused', async (t) => {
  const w = world(t)
  await w.read({})
  assert.equal(w.text(), '')
  await assert.rejects(w.read({ sinceTime: 'yesterday' }), { code: 'LOGS_INVALID' })
})

test('a log that grows while its tail is read gives no more lines than were asked for', async (t) => {
  const w = world(t)
  const record = (n: number) => `2026-01-01T00:00:01Z stdout F line ${n} ${'x'.repeat(90)}\n`
  writeFileSync(w.path, Array.from({ length: 3000 }, (_, n) => record(n)).join(''))
  const done = w.read({ tailLines: 2000 })
  await w.seen('line 1000 ')
  appendFileSync(w.path, record(3000))
  await done
  const lines = w.text().split('\n').slice(0, -1).map((line) => Number(line.split(' ')[1]))
  assert.deepEqual([lines.length, lines[0], lines.at(-1)], [2000, 1000, 2999])
})

test('following gives lines as they come, over a rotation, and ends with the container', async (t) => {
  const w = world(t)
  w.container.running = true
  const done = w.read({ follow: true })
  writeFileSync(w.path, '2026-01-01T00:00:01Z stdout F one\n2026-01-01T00:00:01Z std')
  await w.seen('one\n')
  appendFileSync(w.path, 'out F two\n')
  await w.seen('two\n')
  appendFileSync(w.path, '2026-01-01T00:00:02Z stdout F last of the old\n')
  renameSync(w.path, `${w.path}.20260101-000000`)
  writeFileSync(w.path, '2026-01-01T00:00:03Z stdout F first of the new\n')
  await w.seen('first of the new\n')
  appendFileSync(w.path, '2026-01-01T00:00:04Z stdout F end\n')
  w.container.running = false
  for (const l of w.container.ended) l()
  await done
  assert.equal(w.text(), 'one\ntwo\nlast of the old\nfirst of the new\nend\n')
  assert.equal(w.container.ended.size, 0, 'nothing keeps listening')
})

test('following ends when its reader is gone', async (t) => {
  const w = world(t)
  w.container.running = true
  writeFileSync(w.path, LOG)
  const done = w.read({ follow: true })
  await w.seen('four')
  w.stop.abort(new Error('reader is gone'))
  await assert.rejects(done, /reader is gone/)
  assert.equal(w.container.ended.size, 0)
})

test('the tail begins where the naive way finds it', async (t) => {
  const w = world(t)
  await fc.assert(fc.asyncProperty(fc.array(fc.string({ maxLength: 30_000, unit: 'grapheme-ascii' }).map((s) => s.replaceAll('\n', ' ')), { maxLength: 12 }), fc.boolean(), fc.nat(14), async (lines, ends, count) => {
    const text = lines.join('\n') + (ends && lines.length > 0 ? '\n' : '')
    writeFileSync(w.path, text)
    const file = await open(w.path)
    const from = await tailOffset(file, count)
    await file.close()
    const whole = text.split(/(?<=\n)/)
    assert.equal(text.slice(from), count === 0 ? '' : whole.slice(-count).join(''))
  }), { numRuns: 60 })
})

test('what is shown of a log is what the naive way shows, wherever its blocks end', async () => {
  const part = fc.oneof(fc.string({ maxLength: 90, unit: 'grapheme' }).map((text) => text.replaceAll('\n', ' ')), fc.constant('x'.repeat(300)))
  const second = fc.integer({ min: 10, max: 59 })
  const record = fc.oneof(
    { weight: 8, arbitrary: fc.tuple(second, fc.constantFrom('stdout', 'stderr'), fc.constantFrom('F', 'P', 'F:x', 'P:'), part).map(([s, stream, tags, text]) => `2026-01-01T00:00:${s}.5Z ${stream} ${tags} ${text}`) },
    { weight: 1, arbitrary: fc.constantFrom('', ' ', 'half a li', 'x stdin F a', 'x stdout Q a', 'x stdout Fx a', 'x stdout F', 'x stdout P', ' stderr F no time', 'x stdoutF F a', 'x stdouts F a') },
  )
  const options: fc.Arbitrary<LogOptions> = fc.record({
    timestamps: fc.boolean(), stream: fc.constantFrom('All' as const, 'Stdout' as const, 'Stderr' as const),
    limitBytes: fc.integer({ min: 1, max: 400 }), tailLines: fc.integer({ min: 1, max: 8 }), sinceTime: second.map((s) => `2026-01-01T00:00:${s}Z`),
  }, { requiredKeys: [] })
  await fc.assert(fc.asyncProperty(fc.array(record, { maxLength: 12 }), options, fc.infiniteStream(fc.integer({ min: 1, max: 120 })), (records, opt, sizes) => {
    const log = Buffer.from(records.map((r) => `${r}\n`).join(''))
    const filter = createLogFilter(opt, NOW)
    const shown: Buffer[] = []
    let rest = Buffer.alloc(0)
    let isEnough = false
    for (let at = 0; at < log.length && !isEnough;) {
      const { value: size } = sizes.next() as { value: number }
      // Whatever lies behind the block's end is none of its.
      const block = Buffer.concat([rest, log.subarray(at, at + size), Buffer.from('2026-01-01T00:00:59Z stdout F of another time\n')])
      const end = rest.length + Math.min(size, log.length - at)
      const { bytes, consumed, isEnough: enough } = filter(block, end)
      shown.push(block.subarray(0, bytes))
      rest = block.subarray(consumed, end)
      at += size
      isEnough = enough
    }
    assert.equal(Buffer.concat(shown).toString('latin1'), naivelyShown(log, opt).toString('latin1'))
    return Promise.resolve()
  }), { numRuns: 600 })
})

function naivelyShown(log: Buffer, { timestamps, stream, limitBytes, tailLines, sinceTime }: LogOptions): Buffer {
  const out: Buffer[] = []
  let isFresh = true
  let at = 0
  for (let n = 0; n < (tailLines ?? Infinity) && at < log.length; n++) {
    const end = log.indexOf('\n', at)
    const line = parseCriLine(log.subarray(at, end))
    at = end + 1
    if (!line || (stream !== undefined && stream !== 'All' && stream.toLowerCase() !== line.stream)) continue
    if (sinceTime !== undefined && (criTimeNano(line.time) ?? 0n) < (criTimeNano(sinceTime) ?? 0n)) continue
    if (timestamps && isFresh) out.push(Buffer.from(`${line.time} `))
    isFresh = !line.partial
    out.push(line.text, ...(line.partial ? [] : [Buffer.from('\n')]))
  }
  return Buffer.concat(out).subarray(0, limitBytes)
}

test('a record longer than the blocks that are read is shown whole, and what comes after it', async (t) => {
  const w = world(t)
  const long = Array.from({ length: 40_000 }, (_, n) => String(n)).join(' ')
  writeFileSync(w.path, `2026-01-01T00:00:01Z stdout F before\n2026-01-01T00:00:01Z stdout F ${long}\n2026-01-01T00:00:02Z stdout F after\n`)
  await w.read({})
  assert.equal(w.text(), `before\n${long}\nafter\n`)
})

test('records are read as CRI writes them', () => {
  assert.deepStrictEqual(parseCriLine(Buffer.from('2026-01-01T00:00:00Z stdout F a b')), { time: '2026-01-01T00:00:00Z', stream: 'stdout', partial: false, text: Buffer.from('a b') })
  for (const bad of ['', 'x', 'x stdout', 'x stdin F a', 'x stdout Q a']) assert.equal(parseCriLine(Buffer.from(bad)), undefined, bad)
  assert.deepStrictEqual([criTimeNano('1970-01-01T00:00:01.000000002Z'), criTimeNano('1970-01-01T01:00:01.5+01:00'), criTimeNano('now')], [1_000_000_002n, 1_500_000_000n, undefined])
})

test('a full log is put aside, older ones are compressed, the oldest goes', async (t) => {
  const w = world(t)
  const rotate = (second: number) => rotateLog(w.path, { maxBytes: 10, maxFiles: 3, nowMs: Date.UTC(2026, 0, 1, 0, 0, second), reopen: () => { writeFileSync(w.path, ''); return Promise.resolve() } })
  writeFileSync(w.path, 'short')
  assert.equal(await rotate(0), false)
  for (let i = 1; i <= 4; i++) {
    writeFileSync(w.path, `generation ${i}`)
    assert.equal(await rotate(i), true)
  }
  assert.deepStrictEqual(readdirSync(w.dir).sort(), ['0.log', '0.log.20260101-000003.gz', '0.log.20260101-000004'])
  assert.equal(gunzipSync(readFileSync(`${w.path}.20260101-000003.gz`)).toString(), 'generation 3')
})

test('a log whose writer cannot reopen it keeps its name', async (t) => {
  const w = world(t)
  writeFileSync(w.path, 'more than ten bytes')
  await assert.rejects(rotateLog(w.path, { maxBytes: 10, maxFiles: 3, nowMs: NOW, reopen: () => Promise.reject(new Error('no')) }), /no/)
  assert.equal(existsSync(w.path), true)
})
