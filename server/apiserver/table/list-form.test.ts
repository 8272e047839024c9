/** A list says the same in every form: what is cut out of bytes, or kept from the last list, and what is printed whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { collect } from '#api/client/body.ts'
import { harness, type Harness } from '../app.test-support.ts'
import { decodeMessage, parseEnvelope, protobufModelOf } from '../protobuf/index.ts'
import { rows } from '../registry.ts'

const AUTOSCALERS = (version: string): string => `/apis/autoscaling/${version}/namespaces/default/horizontalpodautoscalers`
const MAPS = '/api/v1/namespaces/default/configmaps'

const map = (i: number): object => ({ metadata: { name: `m${i}`, labels: { part: String(i % 3) }, annotations: { a: '}\\"é😀\u2028{' } }, data: { k: 'x'.repeat(i * 9_000), l: 'é"}' } })
const autoscaler = (i: number): object => ({ metadata: { name: `h${i}`, annotations: { a: '}é' } }, spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' }, minReplicas: 2, maxReplicas: i + 2, metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } }] } })

const FORMS = ['', ';as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', ';as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io', ';as=Table;v=v1;g=meta.k8s.io']

async function listed(h: Harness, path: string, accept: string): Promise<unknown> {
  const response = await h.api.handle({ method: 'GET', path, signal: new AbortController().signal, peer: { remoteAddress: '127.0.0.1' }, headers: { authorization: 'Bearer good', accept } })
  const bytes = await collect(response.body)
  assert.equal(response.status, 200, bytes.toString())
  switch (response.headers['content-type']) {
    case 'application/json': return JSON.parse(bytes.toString())
    case 'application/yaml': return load(bytes.toString())
    default: return decoded(bytes)
  }
}

function decoded(bytes: Buffer): unknown {
  const parsed = parseEnvelope(bytes)
  assert.ok(parsed.ok)
  const { apiVersion, kind, raw } = parsed.envelope
  const message = decodeMessage(raw, protobufModelOf({ apiVersion, kind }) ?? '', 100)
  assert.ok(message.ok)
  return { kind, apiVersion, ...message.value }
}

/** Protobuf leaves out what JSON writes of a partial object: its kind. */
const withoutKinds = (list: unknown): unknown => {
  const { items, ...head } = list as { items?: { kind?: string; apiVersion?: string }[] }
  return { ...head, items: (items ?? []).map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item) }
}

async function agree(h: Harness, path: string): Promise<void> {
  const and = path.includes('?') ? '&' : '?'
  for (const form of FORMS) {
    for (const query of form.includes('Table') ? [`${and}includeObject=None`, `${and}includeObject=Object`, ''] : ['']) {
      const whole = await listed(h, path + query, `application/yaml${form}`)
      // Twice: the second may be what is kept of the first.
      for (const _time of [1, 2]) assert.deepEqual(await listed(h, path + query, `application/json${form}`), whole, `${form} ${query}`)
      if (!form.includes('Table')) for (const _time of [1, 2]) assert.deepEqual(withoutKinds(await listed(h, path, `application/vnd.kubernetes.protobuf${form}`)), withoutKinds(whole), form)
    }
  }
}

test('lists of objects, of their metadata and tables say what is printed whole: empty, small, in several pieces, changed, selected, in pages', async () => {
  const h = harness({ rows: [...rows] })
  await agree(h, MAPS)
  for (let i = 0; i < 40; i++) {
    assert.equal((await h.call('POST', MAPS, map(i))).status, 201)
    if (i === 0 || i === 39) await agree(h, MAPS)
  }
  await h.call('DELETE', `${MAPS}/m17`)
  await h.call('PATCH', `${MAPS}/m21`, { data: { k: 'short' } }, { 'content-type': 'application/merge-patch+json' })
  for (const path of [MAPS, '/api/v1/configmaps', `${MAPS}?labelSelector=part%3D1`, `${MAPS}?limit=7`, `${MAPS}?labelSelector=part%3D9`]) await agree(h, path)
})

test('a kind that is a view of another one is listed as the view', async () => {
  const h = harness({ rows: [...rows] })
  for (let i = 0; i < 3; i++) assert.equal((await h.call('POST', AUTOSCALERS('v2'), autoscaler(i))).status, 201)
  for (const version of ['v1', 'v2', 'v1']) await agree(h, AUTOSCALERS(version))
})
