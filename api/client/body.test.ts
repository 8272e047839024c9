import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunks, collect, lines } from './body.ts'
import type { BodySink, BodyStream } from './transport.ts'

function stream(): { body: BodyStream; sink: () => BodySink } {
  let given: BodySink | undefined
  return { body: { start: (s) => { given = s } }, sink: () => given ?? assert.fail('not started') }
}
async function read(source: AsyncIterable<Buffer>): Promise<string[]> {
  const all: string[] = []
  for await (const chunk of source) all.push(String(chunk))
  return all
}

test('whole bodies are collected in each of their forms, up to a limit', async () => {
  const { body, sink } = stream()
  const whole = collect(body, 10)
  sink().write(Buffer.from('ab'))
  sink().write(Buffer.from('cd'))
  sink().end()
  assert.deepStrictEqual([String(await whole), String(await collect(Buffer.from('x'))), String(await collect([Buffer.from('x'), Buffer.from('y')]))], ['abcd', 'x', 'xy'])
  const big = stream()
  const tooBig = collect(big.body, 10)
  big.sink().write(Buffer.alloc(11))
  await assert.rejects(tooBig, { code: 'BODY_TOO_LARGE' })
})

test('lines are cut at newlines only, empty ones left out, the last one needs none', async () => {
  assert.deepStrictEqual(await read(lines([Buffer.from('a\n\nb'), Buffer.from('c\n'), Buffer.from('d')])), ['a', 'bc', 'd'])
  await assert.rejects(read(lines([Buffer.alloc(20, 'x')], undefined, 10)), { code: 'LINE_TOO_LONG' })
})

test('a producer that is too fast is told to wait, and resumes when its chunks are read', async () => {
  const { body, sink } = stream()
  const reader = chunks(body)
  const first = reader.next()
  assert.equal(sink().write(Buffer.alloc(300 * 1024)), false)
  let drained = false
  sink().onDrain(() => { drained = true; sink().end() })
  assert.equal((await first).value?.length, 300 * 1024)
  assert.equal((await reader.next()).done, true)
  assert.equal(drained, true)
})

test('a producer is told each time that it may go on, by what it said once', async () => {
  const { body, sink } = stream()
  const reader = chunks(body)
  let next = reader.next()
  let drained = 0
  sink().onDrain(() => { drained++ })
  for (let i = 1; i <= 3; i++) {
    assert.equal(sink().write(Buffer.alloc(300 * 1024)), false)
    assert.equal((await next).value?.length, 300 * 1024)
    next = reader.next()
    await new Promise((resolve) => { setImmediate(resolve) })
    assert.equal(drained, i)
  }
  sink().end()
  assert.equal((await next).done, true)
})

test('what came before a failure is read first; an aborted reader ends though the producer says nothing', async () => {
  const failing = stream()
  const reader = chunks(failing.body)
  const first = reader.next()
  failing.sink().write(Buffer.from('a'))
  failing.sink().fail(new Error('cut'))
  assert.equal(String((await first).value), 'a')
  await assert.rejects(reader.next(), { message: 'cut' })
  const stop = new AbortController()
  const waiting = chunks(stream().body, stop.signal).next()
  stop.abort()
  assert.equal((await waiting).done, true)
})
