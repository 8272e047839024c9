import { deepStrictEqual, match, rejects, strictEqual } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { flagz, statusz } from '#api/http/zpages.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { WireReader } from '#base/protobuf/wire.ts'
import { seededRandom } from '#base/random.ts'
import { harness } from '../app.test-support.ts'
import { encodeProfile, type Frame } from './pprof.ts'
import { cpuSamples, memorySamples, profileMemory } from './v8-profiler.ts'
import { zpageResponse } from './zpages.ts'

const page = statusz({ startTimeSeconds: 1_000_000_000, nowMs: 1_000_003_725_999, goVersion: 'node26', binaryVersion: '1.36.0', emulationVersion: '1.36', paths: ['/api', '/apis/apps', '/', '/livez', '/livez/ping', '/readyz', '/openapi/v2', '/.well-known/x', '/version'] })
const asked = (accept: string | undefined, of = page) => {
  const { headers, body } = zpageResponse(of, accept, seededRandom(1))
  return [headers['content-type'], headers['warning'], (body as Buffer).toString()]
}

describe('statusz and flagz', () => {
  test('are text for who names no version', () => {
    for (const accept of [undefined, '', 'text/plain', '*/*', 'application/json, */*', 'application/json;v=foo;g=config.k8s.io;as=Statusz,*/*', 'text/*']) {
      const [type, , text = ''] = asked(accept)
      strictEqual(type, 'text/plain; charset=utf-8')
      match(text, /^\napiserver statusz\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only\.\n\nStarted(:|: |=| ) Sun Sep {2}9 01:46:40 UTC 2001\nUp\1 1 hr 02 min 05 sec\nGo version\1 node26\nBinary version\1 1\.36\.0\nEmulation version\1 1\.36\nPaths\1 \/livez \/readyz \/version\n$/)
    }
    match(String(asked(undefined, flagz({ b: '[x]', a: '1' }))[2]), /only\.\na(:|: |=| )1\nb\1\[x\]\n$/)
  })

  test('are objects of config.k8s.io for who names one; the old one is warned of', () => {
    const fields = { metadata: { name: 'apiserver' }, startTime: '2001-09-09T01:46:40Z', uptimeSeconds: 3725, goVersion: 'node26', binaryVersion: '1.36.0', emulationVersion: '1.36', paths: ['/livez', '/readyz', '/version'] }
    deepStrictEqual(asked('application/json;v=v1beta1;g=config.k8s.io;as=Statusz'), ['application/json', undefined, `${JSON.stringify({ kind: 'Statusz', apiVersion: 'config.k8s.io/v1beta1', ...fields })}\n`])
    deepStrictEqual(asked('application/json;v=v1alpha1;g=config.k8s.io;as=Statusz'), ['application/json', '299 - "This version of the statusz endpoint is deprecated. Please use a newer version."', `${JSON.stringify({ kind: 'Statusz', apiVersion: 'config.k8s.io/v1alpha1', ...fields })}\n`])
    deepStrictEqual(asked('application/yaml;v=v1beta1;g=config.k8s.io;as=Flagz', flagz({ a: 'b' })), ['application/yaml', undefined, 'apiVersion: config.k8s.io/v1beta1\nflags:\n  a: b\nkind: Flagz\nmetadata:\n  name: apiserver\n'])
  })

  test('are refused to who asks for what they are not', async () => {
    const { call } = harness({ flags: { 'a-flag': 'x', token: 'CLASSIFIED' } })
    for (const accept of ['application/json', 'application/json;v=v1beta1;g=config.k8s.io;as=Flagz', 'application/json;v=v2;g=config.k8s.io;as=Statusz', 'text/plain;v=v1beta1;g=config.k8s.io;as=Statusz']) {
      const { status, json } = await call('GET', '/statusz', undefined, { accept })
      deepStrictEqual([status, json['message']], [406, 'only the following media types are accepted: application/json, application/yaml, text/plain'], accept)
    }
    strictEqual((await call('GET', '/statusz', undefined, { accept: 'application/vnd.kubernetes.protobuf' })).status, 406)
    const { json } = await call('GET', '/flagz', undefined, { accept: 'application/json;v=v1beta1;g=config.k8s.io;as=Flagz' })
    deepStrictEqual(json['flags'], { 'a-flag': 'x', token: 'CLASSIFIED' })
    strictEqual((await call('GET', '/flagz', undefined, { authorization: 'Bearer weak' })).status, 403)
  })
})

/** Messages as [field, value] pairs, by the numbers of proto/profile.proto. */
function decoded(bytes: Buffer, nested: Readonly<Record<number, readonly number[]>>): [number, unknown][] {
  const reader = new WireReader(bytes, 10)
  const all: [number, unknown][] = []
  while (reader.at < reader.end) {
    reader.varint()
    const [number, wire] = [reader.lo >>> 3, reader.lo & 7]
    if (wire === 0) all.push([number, reader.int64()])
    else {
      const part = reader.slice()
      const packed = nested[number]
      all.push([number, packed === undefined ? part.toString() : decoded(part, Object.fromEntries(packed.map((n) => [n, []])))])
    }
  }
  return all
}

const frame = (functionName: string, lineNumber: number): Frame => ({ functionName, url: 'a.ts', lineNumber, columnNumber: 0 })

describe('profiles', () => {
  test('are what pprof reads', () => {
    const bytes = encodeProfile({
      types: [{ type: 'cpu', unit: 'nanoseconds' }], defaultType: 'cpu', timeMs: 5, durationMs: 2, period: 7, periodType: { type: 'cpu', unit: 'nanoseconds' },
      samples: [{ stack: [frame('inner', 4), frame('', 1)], values: [300] }, { stack: [frame('', 1)], values: [9] }],
    })
    const fields = decoded(bytes, { 1: [], 4: [4], 5: [], 11: [] })
    const texts = fields.filter(([n]) => n === 6).map(([, text]) => text)
    deepStrictEqual(texts, ['', 'inner', 'a.ts', '(anonymous)', 'cpu', 'nanoseconds'])
    deepStrictEqual(fields.filter(([n]) => n !== 6), [
      [1, [[1, 4], [2, 5]]],
      [2, '\n\x02\x01\x02\x12\x02\xac\x02'.replace('\xac', '\ufffd')], [2, '\n\x01\x02\x12\x01\t'],
      [4, [[1, 1], [4, [[1, 1], [2, 5], [3, 1]]]]], [4, [[1, 2], [4, [[1, 2], [2, 2], [3, 1]]]]],
      [5, [[1, 1], [2, 1], [3, 1], [4, 2], [5, 5]]], [5, [[1, 2], [2, 3], [3, 3], [4, 2], [5, 2]]],
      [9, 5_000_000], [10, 2_000_000], [11, [[1, 4], [2, 5]]], [12, 7], [14, 4],
    ])
  })

  test('of the processor count stacks and leave out waiting', () => {
    const node = (id: number, functionName: string, children: number[] = []) => ({ id, callFrame: { ...frame(functionName, id), scriptId: '1' }, hitCount: 0, children })
    const samples = cpuSamples({ nodes: [node(1, '(root)', [2, 4]), node(2, 'outer', [3]), node(3, 'inner'), node(4, '(idle)')], startTime: 0, endTime: 60, samples: [3, 4, 3, 2, 1], timeDeltas: [10, 10, 20, 5, 1] })
    deepStrictEqual(samples.map(({ stack, values }) => [stack.map((f) => f.functionName), values]), [[['inner', 'outer'], [2, 30_000]], [['outer'], [1, 5_000]]])
  })

  test('of memory count objects and bytes', () => {
    const node = (id: number, functionName: string, children: Parameters<typeof memorySamples>[0]['head'][] = []) => ({ id, callFrame: { ...frame(functionName, id), scriptId: '1' }, children })
    const samples = memorySamples({ head: node(1, '(root)', [node(2, 'outer', [node(3, 'inner')])]), samples: [{ nodeId: 3, size: 10 }, { nodeId: 3, size: 5 }, { nodeId: 2, size: 1 }, { nodeId: 1, size: 99 }] })
    deepStrictEqual(samples.map(({ stack, values }) => [stack.map((f) => f.functionName), values]), [[['outer'], [1, 1]], [['inner', 'outer'], [2, 15]]])
  })

  test('come gzipped after the seconds asked for, one at a time; what V8 cannot say is unknown', async () => {
    const clock = new FakeClock()
    const { call } = harness({ clock, profiling: true })
    const before = clock.pending
    const cpu = call('GET', '/debug/pprof/profile?seconds=3')
    await until(() => clock.pending > before)
    const second = await call('GET', '/debug/pprof/heap?seconds=1')
    deepStrictEqual([second.status, second.headers['x-go-pprof'], second.text], [500, '1', 'Could not enable CPU profiling: cpu profiling already in use\n'])
    await clock.advance(3_000)
    const { status, headers } = await cpu
    deepStrictEqual([status, headers['content-type'], headers['content-disposition']], [200, 'application/octet-stream', 'attachment; filename="profile"'])
    for (const [path, code] of [['/debug/pprof/goroutine', 404], ['/debug/pprof/heap?debug=1', 404], ['/debug/pprof/profile?seconds=-1', 400], ['/debug/pprof/', 200], ['/debug/pprof', 302]] as const) strictEqual((await call('GET', path)).status, code, path)
    strictEqual((await harness().call('GET', '/debug/pprof/')).status, 404)
  })

  test('end with their client', async () => {
    const gone = new AbortController()
    const taking = profileMemory('alloc', systemClock, 600_000, gone.signal)
    gone.abort(new Error('gone'))
    await rejects(taking, /gone/)
  })
})

async function until(holds: () => boolean): Promise<void> {
  for (let looks = 0; !holds() && looks < 100_000; looks++) await new Promise<void>((resolve) => setImmediate(resolve))
}
