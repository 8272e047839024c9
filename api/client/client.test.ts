import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { CONFIG_MAPS, PODS, keyOf, type ConfigMap, type Pod } from '../types/index.ts'
import { ApiError, type Informer } from './client.ts'
import { createEventRecorder } from './event-recorder.ts'
import { createInformers } from './informer.ts'
import { createClient } from './rest.ts'
import type { ApiRequest, ApiResponse, BodySink, Transport } from './transport.ts'

interface Seen { method: string; path: string; accept: string | undefined; body: unknown }

/** A transport answered by a function, remembering what it was asked. */
function scripted(answer: (request: ApiRequest) => { status?: number; json?: unknown; stream?: (sink: BodySink, request: ApiRequest) => void }) {
  const seen: Seen[] = []
  const transport: Transport = {
    request(request): Promise<ApiResponse> {
      seen.push({ method: request.method, path: request.path, accept: request.headers['accept'], body: request.body ? JSON.parse(request.body.toString()) : undefined })
      const { status = 200, json, stream } = answer(request)
      const body = stream ? { start: (sink: BodySink) => stream(sink, request) } : Buffer.from(JSON.stringify(json ?? {}))
      return Promise.resolve({ status, headers: {}, body })
    },
  }
  return { seen, client: createClient(transport, { userAgent: 'test' }) }
}

const line = (type: string, object: unknown) => Buffer.from(`${JSON.stringify({ type, object })}\n`)
const cm = (name: string, resourceVersion: string, extra = {}) => ({ metadata: { name, namespace: 'a', uid: `u-${name}`, resourceVersion, ...extra } })

test('each verb goes to its own path with upstream’s parameters', async () => {
  const { seen, client } = scripted(() => ({ json: { items: [], metadata: { resourceVersion: '1' } } }))
  const object: ConfigMap = { metadata: { name: 'x', namespace: 'a' } }
  await client.get(PODS, 'x', 'a')
  await client.list(PODS, { labelSelector: 'a in (b,c)', limit: 5 })
  await client.create(CONFIG_MAPS, object, { dryRun: true })
  await client.create(PODS, { metadata: { name: 'p', namespace: 'a' } }, { subresource: 'binding' })
  await client.update(CONFIG_MAPS, object, { subresource: 'status' })
  await client.patch(CONFIG_MAPS, 'x', 'a', 'application/merge-patch+json', { data: null }, { fieldManager: 'me', force: true })
  await client.delete(CONFIG_MAPS, 'x', 'a', { propagationPolicy: 'Orphan', preconditions: { uid: 'u' } })
  assert.deepStrictEqual(seen.map((s) => `${s.method} ${s.path}`), [
    'GET /api/v1/namespaces/a/pods/x',
    'GET /api/v1/pods?labelSelector=a%20in%20(b%2Cc)&limit=5',
    'POST /api/v1/namespaces/a/configmaps?dryRun=All',
    'POST /api/v1/namespaces/a/pods/p/binding',
    'PUT /api/v1/namespaces/a/configmaps/x/status',
    'PATCH /api/v1/namespaces/a/configmaps/x?fieldManager=me&force=true',
    'DELETE /api/v1/namespaces/a/configmaps/x',
  ])
  assert.deepStrictEqual(seen.at(-1)?.body, { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Orphan', preconditions: { uid: 'u' } })
})

test('a refusal is an ApiError with upstream’s reason; an answer that is no Status still names the request', async () => {
  const refused = scripted(() => ({ status: 404, json: { kind: 'Status', reason: 'NotFound', message: 'pods "x" not found', code: 404 } }))
  await assert.rejects(refused.client.get(PODS, 'x', 'a'), (e: unknown) => e instanceof ApiError && e.reason === 'NotFound' && e.code === 404 && e.message === 'pods "x" not found')
  const html = scripted(() => ({ status: 502, stream: (sink) => { sink.write(Buffer.from('<html>')); sink.end() } }))
  await assert.rejects(html.client.get(PODS, 'x', 'a'), { code: 502, message: 'GET /api/v1/namespaces/a/pods/x: 502 <html>' })
})

test('a watch decodes lines however they are cut, and ends its request when the reader stops', async () => {
  let aborted = false
  const bytes = Buffer.concat([line('ADDED', cm('ä', '1')), line('MODIFIED', cm('ä', '2')), line('DELETED', cm('ä', '3'))])
  const { client } = scripted(() => ({
    stream(sink, request) {
      request.signal.addEventListener('abort', () => { aborted = true })
      for (let i = 0; i < bytes.length; i += 7) sink.write(bytes.subarray(i, i + 7))
    },
  }))
  const got: string[] = []
  for await (const event of client.watch(CONFIG_MAPS, {}, new AbortController().signal)) {
    got.push(`${event.type} ${event.object && 'metadata' in event.object ? event.object.metadata.resourceVersion : ''}`)
    if (got.length === 3) break
  }
  assert.deepStrictEqual(got, ['ADDED 1', 'MODIFIED 2', 'DELETED 3'])
  assert.equal(aborted, true)
})

function informed(answer: Parameters<typeof scripted>[0]) {
  const clock = new FakeClock()
  const { seen, client } = scripted(answer)
  const informers = createInformers(client, { clock, random: seededRandom(1), log: silentLog })
  const stop = new AbortController()
  const changes: string[] = []
  const informer: Informer<ConfigMap> = informers.of<ConfigMap>(CONFIG_MAPS, { indexes: { app: (o) => [o.metadata.labels?.['app'] ?? ''] } })
  informer.onChange((before, after) => changes.push(`${before?.metadata.resourceVersion ?? '-'}>${after?.metadata.resourceVersion ?? '-'}`))
  return { clock, seen, informers, informer, stop, changes }
}

test('an informer fills from a stream of initial events, follows, resumes where it was, and relists after 410', async () => {
  const streams: { sink: BodySink; path: string }[] = []
  const { clock, informers, informer, stop, changes } = informed((request) => ({ stream: (sink) => streams.push({ sink, path: request.path }) }))
  const lists: string[] = []
  informer.onListed((version) => lists.push(`${version}: ${informer.list().map(keyOf).join(' ')}`))
  const synced = informers.start(stop.signal)
  await clock.advance(0)
  assert.equal(streams[0]?.path, '/api/v1/configmaps?watch=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&sendInitialEvents=true')
  streams[0]?.sink.write(line('ADDED', cm('x', '1', { managedFields: [{ manager: 'm' }], labels: { app: 'web' } })))
  await clock.advance(0)
  assert.deepStrictEqual([informer.hasSynced(), informer.list().length], [false, 0])
  streams[0]?.sink.write(line('BOOKMARK', { metadata: { resourceVersion: '5', annotations: { 'k8s.io/initial-events-end': 'true' } } }))
  await synced
  assert.deepStrictEqual(informer.byIndex('app', 'web'), [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace: 'a', uid: 'u-x', resourceVersion: '1', labels: { app: 'web' } } }])
  streams[0]?.sink.write(line('MODIFIED', cm('x', '6')))
  streams[0]?.sink.write(line('BOOKMARK', { metadata: { resourceVersion: '9' } }))
  streams[0]?.sink.fail(new Error('cable pulled'))
  await clock.advance(2_000)
  assert.match(streams[1]?.path ?? '', /resourceVersion=9/)
  streams[1]?.sink.write(line('ERROR', { code: 410, reason: 'Expired', message: 'too old' }))
  // At once: the server answers, and how often it did not before has nothing to do with it.
  await clock.advance(0)
  assert.match(streams[2]?.path ?? '', /sendInitialEvents=true/)
  streams[2]?.sink.write(line('ADDED', cm('y', '12')))
  streams[2]?.sink.write(line('BOOKMARK', { metadata: { resourceVersion: '12', annotations: { 'k8s.io/initial-events-end': 'true' } } }))
  await clock.advance(0)
  assert.deepStrictEqual(informer.list().map(keyOf), ['a/y'])
  assert.deepStrictEqual(informer.byIndex('app', 'web'), [])
  assert.deepStrictEqual(changes, ['->1', '1>6', '->12', '6>-'])
  assert.deepStrictEqual(lists, ['5: a/x', '12: a/y'])
  stop.abort()
  await clock.advance(0)
  assert.equal(clock.pending, 0)
})

test('where initial events are not served the informer lists in pages', async () => {
  const streams: string[] = []
  const { clock, informers, informer, stop, changes, seen } = informed((request) => {
    if (request.path.includes('sendInitialEvents')) return { status: 422, json: { reason: 'Invalid', code: 422 } }
    if (request.path.includes('watch=true')) return { stream: () => { streams.push(request.path) } }
    if (request.path.includes('continue=next')) return { json: { items: [cm('y', '2')], metadata: { resourceVersion: '7' } } }
    return { json: { items: [cm('x', '1')], metadata: { resourceVersion: '7', continue: 'next' } } }
  })
  await informers.start(stop.signal)
  await clock.advance(0)
  assert.deepStrictEqual(informer.inNamespace('a').map(keyOf), ['a/x', 'a/y'])
  assert.deepStrictEqual(changes, ['->1', '->2'])
  assert.deepStrictEqual(streams, ['/api/v1/configmaps?watch=true&resourceVersion=7&allowWatchBookmarks=true'])
  assert.equal(seen.length, 4)
  stop.abort()
})

test('a repeated event raises its count by patch; many alike are combined; a noisy object is cut off', async () => {
  const clock = new FakeClock()
  const { seen, client } = scripted(() => ({ json: {} }))
  const recorder = createEventRecorder(client, { component: 'test', clock, random: seededRandom(1), log: silentLog })
  const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'a', uid: 'u' } }
  recorder.event(pod, 'Normal', 'Pulled', 'same', { who: 'me' })
  recorder.event(pod, 'Normal', 'Pulled', 'same')
  await recorder.flush()
  const [first, second] = seen
  const created = first?.body as { metadata: { name: string; annotations?: object }; involvedObject: unknown; source: unknown; count: number; firstTimestamp: string }
  assert.match(created.metadata.name, /^p\.[0-9a-f]+$/)
  assert.deepStrictEqual(created.metadata.annotations, { who: 'me' })
  assert.deepStrictEqual([created.involvedObject, created.source, created.count, created.firstTimestamp],
    [{ apiVersion: 'v1', kind: 'Pod', name: 'p', namespace: 'a', uid: 'u' }, { component: 'test' }, 1, '2026-01-01T00:00:00Z'])
  assert.deepStrictEqual([second?.method, second?.path, second?.body],
    ['PATCH', `/api/v1/namespaces/a/events/${created.metadata.name}`, { count: 2, lastTimestamp: '2026-01-01T00:00:00Z', message: 'same' }])
  for (let i = 0; i < 40; i++) recorder.event(pod, 'Warning', 'Odd', `message ${i}`)
  await recorder.flush()
  const odd = seen.slice(2).map((s) => `${s.method} ${(s.body as { message: string }).message}`)
  assert.deepStrictEqual([odd.length, odd[8], odd[9], odd[10]], [23, 'POST message 8', 'POST (combined from similar events): message 9', 'PATCH (combined from similar events): message 10'])
  recorder.close()
})
