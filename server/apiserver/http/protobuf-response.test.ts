/** Answers in protobuf, through the whole handler: each is held against the JSON answer to the same question. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { collect } from '#api/client/body.ts'
import { isBodyStream, type ApiResponse } from '#api/client/transport.ts'
import type { KubeObject } from '#api/types/index.ts'
import { CM, configMap, harness, PODS, type Harness } from '../app.test-support.ts'
import { decodeMessage, encodeProtobuf, parseEnvelope, PROTOBUF_TYPE, protobufModelOf } from '../protobuf/index.ts'

/** What kubectl sends. */
const ACCEPT = `${PROTOBUF_TYPE},application/json`

interface Shown { status: number; type: string; object: unknown }

function ask({ api }: Harness, method: string, path: string, accept: string | undefined, body?: Buffer, signal = new AbortController().signal): Promise<ApiResponse> {
  const headers = { authorization: 'Bearer good', 'user-agent': 'kubectl/v1', ...(accept === undefined ? {} : { accept }), ...(body ? { 'content-type': PROTOBUF_TYPE } : {}) }
  return api.handle({ method, path, signal, peer: { remoteAddress: '127.0.0.1' }, headers, ...(body && { body }) })
}

async function shown(h: Harness, method: string, path: string, accept: string | undefined, body?: Buffer): Promise<Shown> {
  const response = await ask(h, method, path, accept, body)
  const bytes = await collect(response.body)
  const type = response.headers['content-type'] ?? ''
  return { status: response.status, type, object: type === PROTOBUF_TYPE ? decoded(bytes) : JSON.parse(bytes.toString()) }
}

function decoded(bytes: Buffer): Record<string, unknown> {
  const parsed = parseEnvelope(bytes)
  assert.ok(parsed.ok)
  const { apiVersion, kind, raw } = parsed.envelope
  const model = protobufModelOf({ ...(apiVersion !== '' && { apiVersion }), kind })
  assert.ok(model, `${apiVersion} ${kind}`)
  const read = decodeMessage(raw, model, 500)
  assert.ok(read.ok)
  return { ...(apiVersion !== '' && { apiVersion }), kind, ...read.value }
}

async function assertSame(h: Harness, path: string, accept = ACCEPT, jsonAccept?: string): Promise<Shown> {
  const json = await shown(h, 'GET', path, jsonAccept)
  const protobuf = await shown(h, 'GET', path, accept)
  assert.deepStrictEqual({ ...protobuf, type: '' }, { ...json, type: '' })
  assert.equal(protobuf.type, PROTOBUF_TYPE)
  return protobuf
}

async function withObjects(): Promise<Harness> {
  const h = harness()
  for (const name of ['a', 'b', 'c']) assert.equal((await h.call('POST', CM, configMap(name))).status, 201)
  return h
}

it('objects, lists, pages and discovery are the same in protobuf as in JSON', async () => {
  const h = await withObjects()
  for (const path of [`${CM}/a`, CM, `${CM}?limit=2`, '/api/v1/configmaps?fieldSelector=metadata.name%3Da', '/api', '/apis', '/api/v1', '/apis/apps/v1']) await assertSame(h, path)
  // The wire has no empty lists.
  assert.deepStrictEqual(await shown(h, 'GET', PODS, ACCEPT), { status: 200, type: PROTOBUF_TYPE, object: { apiVersion: 'v1', kind: 'PodList', metadata: { resourceVersion: '4' } } })
})

it('refusals are a Status in protobuf', async () => {
  const h = await withObjects()
  assert.equal((await assertSame(h, `${CM}/none`)).status, 404)
  assert.equal((await assertSame(h, '/api/v1/nothing')).status, 404)
  assert.equal((await assertSame(h, `${CM}?sendInitialEvents=1`)).status, 422)
})

it('what is created and deleted in protobuf is answered in protobuf', async () => {
  const h = harness()
  const body = encodeProtobuf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'p' } }, 'ConfigMap')
  const created = await shown(h, 'POST', CM, ACCEPT, body)
  assert.deepStrictEqual([created.status, created.type], [201, PROTOBUF_TYPE])
  assert.deepStrictEqual(created.object, (await h.call('GET', `${CM}/p`)).json)
  const options = encodeProtobuf({ apiVersion: 'v1', kind: 'DeleteOptions', dryRun: ['All'] } as KubeObject, 'DeleteOptions')
  const kept = await shown(h, 'DELETE', `${CM}/p`, ACCEPT, options)
  assert.deepStrictEqual([kept.status, (kept.object as { status: string }).status], [200, 'Success'])
  assert.equal((await h.call('GET', `${CM}/p`)).status, 200)
})

it('metadata alone comes in protobuf, tables never do', async () => {
  const h = await withObjects()
  const partial = 'g=meta.k8s.io;v=v1;as=PartialObjectMetadata'
  await assertSame(h, `${CM}/a`, `${PROTOBUF_TYPE};${partial}`, `application/json;${partial}`)
  const json = (await shown(h, 'GET', CM, `application/json;${partial}List`)).object as { items: { metadata: unknown }[] }
  // Items say no kind on the wire.
  assert.deepStrictEqual((await shown(h, 'GET', CM, `${PROTOBUF_TYPE};${partial}List`)).object, { ...json, items: json.items.map(({ metadata }) => ({ metadata })) })
  const table = 'g=meta.k8s.io;v=v1;as=Table'
  assert.equal((await shown(h, 'GET', CM, `${PROTOBUF_TYPE};${table},application/json;${table}`)).type, 'application/json')
  const refused = await shown(h, 'GET', CM, `${PROTOBUF_TYPE};${table}`)
  assert.equal(refused.status, 406)
  assert.equal((refused.object as { message: string }).message, 'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf')
})

it('JSON is answered when it is wanted as much and named first, or wanted more, or the answer has no protobuf form', async () => {
  const h = await withObjects()
  for (const accept of [`application/json,${PROTOBUF_TYPE}`, `${PROTOBUF_TYPE};q=0.5,application/json`, '*/*', undefined]) assert.equal((await shown(h, 'GET', `${CM}/a`, accept)).type, 'application/json')
  assert.equal((await shown(h, 'GET', '/version', ACCEPT)).type, 'application/json')
})

it('a watch sends frames: events, bookmarks and errors', async () => {
  const h = await withObjects()
  const stopper = new AbortController()
  const response = await ask(h, 'GET', `${CM}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan`, ACCEPT, undefined, stopper.signal)
  assert.equal(response.headers['content-type'], `${PROTOBUF_TYPE};stream=watch`)
  const frames = follow(response)
  await h.call('PUT', `${CM}/a`, configMap('a', { data: { k: 'w' } }))
  await h.call('DELETE', `${CM}/b`)
  await frames.ends(6)
  stopper.abort()
  const events = frames.events()
  assert.deepStrictEqual(events.map(({ type, object }) => `${type} ${(object['metadata'] as { name?: string }).name ?? ''}`), ['ADDED a', 'ADDED b', 'ADDED c', 'BOOKMARK ', 'MODIFIED a', 'DELETED b'])
  assert.deepStrictEqual(events[4]?.object, (await h.call('GET', `${CM}/a`)).json)
  const { kind, metadata } = events[3]?.object ?? {}
  const { resourceVersion, ...bookmark } = metadata as Record<string, unknown>
  // "k8s\0", then the envelope: { v1, ConfigMapList } and an empty list with its metadata.
  const blueprint = Buffer.from('k8s\0\n\x13\n\x02v1\x12\rConfigMapList\x12\x02\n\0\x1a\0"\0', 'latin1').toString('base64')
  assert.deepStrictEqual([kind, bookmark, Number(resourceVersion) > 0], ['ConfigMap', { annotations: { 'k8s.io/initial-events-end': 'true', 'kubernetes.io/initial-events-list-blueprint': blueprint } }, true])
})

it('a watch from a forgotten revision is told so in a frame', async () => {
  const h = await withObjects()
  for (let i = 0; i < 3; i++) await h.call('PUT', `${CM}/a`, configMap('a', { data: { k: String(i) } }))
  await h.store.compact(h.store.revision())
  const response = await ask(h, 'GET', `${CM}?watch=true&resourceVersion=1`, ACCEPT)
  const [event] = follow(response, await collect(response.body)).events()
  assert.deepStrictEqual([event?.type, event?.object['kind'], event?.object['reason'], event?.object['code']], ['ERROR', 'Status', 'Expired', 410])
})

interface Frame { type: string; object: Record<string, unknown> }

function follow(response: ApiResponse, whole: Buffer = Buffer.alloc(0)): { events: () => Frame[]; ends: (count: number) => Promise<void> } {
  let bytes = whole
  if (isBodyStream(response.body)) response.body.start({ write: (chunk) => { bytes = Buffer.concat([bytes, chunk]); return true }, onDrain: () => {}, end: () => {}, fail: (error) => { throw error } })
  const events = (): Frame[] => {
    const frames: Frame[] = []
    for (let at = 0; at < bytes.length;) {
      const size = bytes.readUInt32BE(at)
      frames.push(frameOf(bytes.subarray(at + 4, at + 4 + size)))
      at += 4 + size
    }
    return frames
  }
  return {
    events,
    async ends(count) {
      for (let turn = 0; events().length < count; turn++) {
        assert.ok(turn < 2000, `expected ${count} frames, got ${events().length}`)
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
    },
  }
}

/** `{type=1, object=2 {raw=1}}`, read by hand: lengths here are one or two bytes. */
function frameOf(message: Buffer): Frame {
  const field = (from: Buffer, tag: number): { value: Buffer; rest: Buffer } => {
    assert.equal(from[0], tag)
    const long = (from[1] as number) >= 0x80
    const size = long ? ((from[1] as number) & 0x7f) + (from[2] as number) * 128 : (from[1] as number)
    const start = long ? 3 : 2
    return { value: from.subarray(start, start + size), rest: from.subarray(start + size) }
  }
  const type = field(message, 0x0a)
  const extension = field(type.rest, 0x12)
  assert.equal(extension.rest.length, 0)
  return { type: type.value.toString(), object: decoded(field(extension.value, 0x0a).value) }
}

it('what is packed already is passed on as it is, to whoever asks for whatever form', async () => {
  const h = harness()
  for (const path of ['/openapi/v2', '/openapi/v2?pretty=true', '/openapi/v3/api/v1']) {
    const response = await h.api.handle({ method: 'GET', path, signal: new AbortController().signal, peer: { remoteAddress: '127.0.0.1' }, headers: { authorization: 'Bearer good', 'user-agent': 'curl/8', accept: ACCEPT, 'accept-encoding': 'gzip' } })
    assert.deepEqual([response.status, response.headers['content-type'], response.headers['content-encoding']], [200, 'application/json', 'gzip'])
    assert.ok('paths' in (JSON.parse(gunzipSync(await collect(response.body)).toString()) as object))
  }
})
