import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { CONFIG_MAPS, keyOf, PODS, type ConfigMap, type Pod } from '../types/index.ts'
import { createInformers } from './informer.ts'
import { createClient } from './rest.ts'
import type { BodySink, Transport } from './transport.ts'

/** A server whose watches the test writes to: of each, what was asked for, and whether it was given up. */
function server() {
  const streams: { resource: string; lists: boolean; ended: boolean; sink: BodySink }[] = []
  const transport: Transport = {
    async request(request) {
      const start = (sink: BodySink) => {
        const stream = { resource: /\/v1\/(\w+)/.exec(request.path)?.[1] ?? '', lists: request.path.includes('sendInitialEvents'), ended: false, sink }
        request.signal.addEventListener('abort', () => { stream.ended = true })
        streams.push(stream)
      }
      return { status: 200, headers: {}, body: { start } }
    },
  }
  const clock = new FakeClock()
  const informers = createInformers(createClient(transport, { userAgent: 'test' }), { clock, random: seededRandom(1), log: silentLog })
  const send = async (at: number, type: string, object: object) => {
    streams[at]?.sink.write(Buffer.from(`${JSON.stringify({ type, object })}\n`))
    await clock.advance(0)
  }
  return {
    clock, informers,
    asked: () => streams.map((s) => `${s.resource}${s.lists ? ' anew' : ''}${s.ended ? ' ended' : ''}`),
    added: (at: number, name: string, resourceVersion: string) => send(at, 'ADDED', { metadata: { name, namespace: 'a', uid: `u-${name}`, resourceVersion } }),
    listed: (at: number, resourceVersion: string) => send(at, 'BOOKMARK', { metadata: { resourceVersion, annotations: { 'k8s.io/initial-events-end': 'true' } } }),
  }
}

describe('informers that are lent', () => {
  it('are those that are there, listed anew before the work begins: what it reads is no older than its beginning', async () => {
    const { clock, informers, asked, added, listed } = server()
    const stop = new AbortController()
    const kept = informers.of<ConfigMap>(CONFIG_MAPS)
    void informers.start(stop.signal)
    await clock.advance(0)
    await added(0, 'x', '1')
    await listed(0, '1')
    const x = kept.get('a/x')

    const lent = informers.lend(new AbortController().signal)
    const maps = lent.of<ConfigMap>(CONFIG_MAPS)
    const heard: string[] = []
    maps.onChange((before, after) => heard.push(`${before ? keyOf(before) : '-'}>${after ? keyOf(after) : '-'}`))
    let begun = false
    const beginning = lent.start(stop.signal).then(() => { begun = true })
    await clock.advance(0)
    assert.deepEqual(asked(), ['configmaps anew ended', 'configmaps anew'])
    // What the list from before would have said still is of no interest.
    await added(0, 'late', '9')
    await added(1, 'x', '1')
    await added(1, 'y', '7')
    assert.deepEqual([begun, heard], [false, ['->a/x']])
    await listed(1, '7')
    await beginning
    assert.deepEqual(heard, ['->a/x', '->a/y'])
    // One copy for both.
    assert.ok(maps.get('a/x') === x && kept.get('a/y') === maps.get('a/y'))
    stop.abort()
    await clock.advance(0)
    assert.deepEqual([asked(), clock.pending], [['configmaps anew ended', 'configmaps anew ended'], 0])
  })

  it('end with the work where nobody else needs them, and what it listened to goes on without it', async () => {
    const { clock, informers, asked, added, listed } = server()
    const stop = new AbortController()
    informers.of<ConfigMap>(CONFIG_MAPS)
    void informers.start(stop.signal)
    await clock.advance(0)
    await listed(0, '1')

    const [first, second] = [new AbortController(), new AbortController()]
    const heard: string[] = []
    for (const [name, work] of [['first', first], ['second', second]] as const) {
      const lent = informers.lend(work.signal)
      lent.of<ConfigMap>(CONFIG_MAPS).onChange(() => heard.push(name))
      lent.of<Pod>(PODS)
      void lent.start(work.signal)
      await clock.advance(0)
    }
    assert.deepEqual(asked(), ['configmaps anew ended', 'pods anew ended', 'configmaps anew ended', 'configmaps anew', 'pods anew'])
    await listed(3, '2')
    await listed(4, '2')
    await added(3, 'x', '3')
    assert.deepEqual(heard.splice(0), ['first', 'second'])
    first.abort()
    await added(3, 'y', '4')
    assert.deepEqual(heard.splice(0), ['second'])
    assert.equal(asked()[4], 'pods anew')
    second.abort()
    await added(3, 'z', '5')
    assert.deepEqual(heard, [])
    assert.deepEqual(asked().slice(3), ['configmaps anew', 'pods anew ended'])

    // Elected again.
    const again = informers.lend(stop.signal)
    again.of<Pod>(PODS)
    void again.start(stop.signal)
    await clock.advance(0)
    assert.deepEqual(asked().slice(3), ['configmaps anew', 'pods anew ended', 'pods anew'])
    stop.abort()
    await clock.advance(0)
    assert.deepEqual([asked().slice(3), clock.pending], [['configmaps anew ended', 'pods anew ended', 'pods anew ended'], 0])
  })
})
