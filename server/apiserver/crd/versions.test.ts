/** Several versions of a custom resource: read, stored and watched through None and through a webhook. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { items, type Loose } from '../app.test-support.ts'
import { httpsServer, type TestServer } from '../webhook-client/https-server.test-support.ts'
import { cronTab, cronTabs, define, DEFINITIONS, MERGE, server, TABS, until, version } from './crd.test-support.ts'

const V2 = TABS.replace('/v1/', '/v2/')
const schemaWith = (properties: Record<string, unknown>) => ({ type: 'object', properties: { spec: { type: 'object', properties } } })

type Review = { request: { uid: string; desiredAPIVersion: string; objects: Record<string, unknown>[] } }

/** v1 has `hostPort: "a:1"`, v2 `host` and `port`. */
function convert(object: Record<string, unknown>, apiVersion: string): Record<string, unknown> {
  const spec = (object['spec'] ?? {}) as Record<string, string>
  if (apiVersion.endsWith('/v2')) {
    const [host = '', port = ''] = (spec['hostPort'] ?? '').split(':')
    return { ...object, apiVersion, spec: { host, port } }
  }
  return { ...object, apiVersion, spec: { hostPort: `${spec['host'] ?? ''}:${spec['port'] ?? ''}` } }
}

async function converter(change: (review: Review, converted: Record<string, unknown>[]) => Record<string, unknown> = () => ({})): Promise<TestServer> {
  return httpsServer(({ body }, res) => {
    const review = JSON.parse(body) as Review
    const convertedObjects = review.request.objects.map((o) => convert(o, review.request.desiredAPIVersion))
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify({ kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1', response: { uid: review.request.uid, result: { status: 'Success' }, convertedObjects, ...change(review, convertedObjects) } }))
  })
}

const hostPorts = (hook: TestServer) => cronTabs({
  versions: [version('v1', { storage: true }, schemaWith({ hostPort: { type: 'string' } })), version('v2', {}, schemaWith({ host: { type: 'string' }, port: { type: 'string' } }))],
  spec: { conversion: { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: `https://127.0.0.1:${hook.port}/convert`, caBundle: hook.caBundle } } } },
})

suite('versions of custom resources', () => {
  test('without conversion only the apiVersion and what the other schema knows change', async () => {
    const h = server()
    await define(h, cronTabs({ versions: [version('v1', { storage: true }, schemaWith({ a: { type: 'string' }, b: { type: 'string' } })), version('v2', {}, schemaWith({ a: { type: 'string' }, c: { type: 'string', default: 'c' } }))] }))
    await h.call('POST', TABS, cronTab('x', { a: '1', b: '2' }))
    const v2 = (await h.call('GET', `${V2}/x`)).json
    assert.deepEqual([v2['apiVersion'], v2['spec']], ['stable.example.com/v2', { a: '1' }])
    const listed = (await h.call('GET', V2)).json
    assert.deepEqual(items<{ spec: unknown }>(listed['items'])[0]?.spec, { a: '1' })
    const w = await h.watch(`${V2}?watch=true`)
    await w.next(1)
    await h.call('PATCH', `${TABS}/x`, { spec: { a: '3' } }, MERGE)
    await w.next(1)
    assert.deepEqual([w.events.at(-1)?.['object']?.['apiVersion'], w.events.at(-1)?.['object']?.['spec']], ['stable.example.com/v2', { a: '3' }])
    w.stop()
    h.api.close()
  })

  test('what was written in another version has the defaults of the storage version when it is read in that', async () => {
    const h = server()
    await define(h, cronTabs({ versions: [version('v1', { storage: true }, schemaWith({ a: { type: 'string' }, b: { type: 'string', default: 'b' }, d: { type: 'string', default: 'd' } })), version('v2', {}, schemaWith({ a: { type: 'string' }, c: { type: 'string', default: 'c' }, d: { type: 'string' } }))] }))
    const made = await h.call('POST', V2, { ...cronTab('x', { a: '1' }), apiVersion: 'stable.example.com/v2' })
    assert.deepEqual([made.json['spec'], (await h.call('GET', `${TABS}/x`)).json['spec'], (await h.call('GET', `${V2}/x`)).json['spec']], [{ a: '1', d: 'd' }, { a: '1', b: 'b', d: 'd' }, { a: '1', d: 'd' }])
    h.api.close()
  })

  test('a new storage version is noted at once, objects move to it when they are written, and the old one must stay until it is let go', async () => {
    const h = server()
    const both = (storage: string) => [version('v1', { storage: storage === 'v1' }), version('v2', { storage: storage === 'v2' })]
    await define(h, cronTabs({ versions: both('v1') }))
    await h.call('POST', TABS, cronTab('a'))
    const path = `${DEFINITIONS}/crontabs.stable.example.com`
    const changed = async (change: (crd: { spec: { versions: unknown[] }; status: { storedVersions: string[] } }) => void, sub = '') => {
      const crd = JSON.parse((await h.call('GET', path)).text) as Parameters<typeof change>[0]
      change(crd)
      return h.call('PUT', path + sub, crd)
    }
    const moved = await changed((crd) => { crd.spec.versions = both('v2') })
    assert.deepEqual(moved.json['status']?.['storedVersions'], ['v1', 'v2'])
    const stored = async () => (await h.store.get('/registry/stable.example.com/crontabs/default/a'))?.value.toString().split('\n')[1]
    assert.equal(await stored(), 'v1')
    assert.deepEqual((await h.call('GET', `${V2}/a`)).json['spec'], { cronSpec: '* * * * *', replicas: 1 })
    await h.call('PATCH', `${V2}/a`, { spec: { replicas: 2 } }, MERGE)
    assert.equal(await stored(), 'v2')
    const early = await changed((crd) => { crd.spec.versions = both('v2').slice(1) })
    assert.match(early.text, /status\.storedVersions\[0\]: Invalid value: \\"v1\\": missing from spec\.versions; v1 was previously a storage version, and must remain in spec\.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status\.storedVersions/)
    assert.equal((await changed((crd) => { crd.status.storedVersions = ['v2'] }, '/status')).status, 200)
    const gone = await changed((crd) => { crd.spec.versions = both('v2').slice(1) })
    assert.deepEqual([gone.status, gone.json['status']?.['storedVersions']], [200, ['v2']])
    assert.equal((await h.call('GET', `${TABS}/a`)).status, 404)
    h.api.close()
  })

  test('a webhook converts what is read, written, listed and watched; metadata but labels and annotations stays', async () => {
    const hook = await converter((_, converted) => ({ convertedObjects: converted.map((o) => ({ ...o, metadata: { ...(o['metadata'] as object), labels: { converted: 'yes' }, generation: 99 } })) }))
    const h = server()
    await define(h, hostPorts(hook))
    const made = await h.call('POST', V2, { ...cronTab('a', { host: 'h', port: '1' }), apiVersion: 'stable.example.com/v2' })
    assert.equal(made.status, 201, made.text)
    assert.deepEqual([made.json['apiVersion'], made.json['spec']], ['stable.example.com/v2', { host: 'h', port: '1' }])
    assert.match((await h.store.get('/registry/stable.example.com/crontabs/default/a'))?.value.toString() ?? '', /"hostPort":"h:1".*\nv1$/s)
    const v1 = (await h.call('GET', `${TABS}/a`)).json
    assert.deepEqual([v1['spec'], v1['metadata']?.['labels'], v1['metadata']?.['generation']], [{ hostPort: 'h:1' }, { converted: 'yes' }, 1])
    const v2 = (await h.call('GET', `${V2}/a`)).json
    assert.deepEqual([v2['spec'], v2['metadata']?.['uid']], [{ host: 'h', port: '1' }, v1['metadata']?.['uid']])
    await h.call('POST', TABS, cronTab('b', { hostPort: 'k:2' }))
    const before = hook.received.length
    const listed = items<{ spec: unknown }>((await h.call('GET', V2)).json['items'])
    assert.deepEqual(listed.map((o) => o.spec), [{ host: 'h', port: '1' }, { host: 'k', port: '2' }])
    assert.equal(hook.received.length, before + 1, 'one review for the whole list')
    await h.call('GET', V2)
    assert.equal(hook.received.length, before + 1, 'and none for what was converted before')
    const w = await h.watch(`${V2}?watch=true`)
    await w.next(2)
    await h.call('PATCH', `${TABS}/b`, { spec: { hostPort: 'k:3' } }, MERGE)
    await until(async () => { await new Promise((resolve) => setTimeout(resolve, 1)); return w.events.length > 2 ? true : undefined }, 'the change is seen')
    assert.deepEqual(w.events.at(-1)?.['object']?.['spec'], { host: 'k', port: '3' })
    assert.deepEqual(items<{ spec: unknown }>((await h.call('GET', V2)).json['items']).map((o) => o.spec)[1], { host: 'k', port: '3' })
    const patched = await h.call('PATCH', `${V2}/b`, { spec: { port: '4' } }, MERGE)
    assert.deepEqual([patched.json['spec'], (await h.call('GET', `${TABS}/b`)).json['spec']], [{ host: 'k', port: '4' }, { hostPort: 'k:4' }])
    w.stop()
    h.api.close()
    await hook.close()
  })

  test('a webhook that fails, or answers something else, fails the request in upstream\'s words', async () => {
    const wrong: Record<string, (review: Review, converted: Record<string, unknown>[]) => Record<string, unknown>> = {
      'conversion webhook for stable.example.com/v1, Kind=CronTab failed: no luck': () => ({ result: { status: 'Failure', message: 'no luck' } }),
      'conversion webhook for stable.example.com/v1, Kind=CronTab returned 0 objects, expected 1': () => ({ convertedObjects: [] }),
      'conversion webhook for stable.example.com/v1, Kind=CronTab returned invalid object at index 0: invalid groupVersion (expected stable.example.com/v2, received stable.example.com/v3)': (_, c) => ({ convertedObjects: c.map((o) => ({ ...o, apiVersion: 'stable.example.com/v3' })) }),
      'conversion webhook for stable.example.com/v1, Kind=CronTab returned invalid object: must have the same name: a != b': (_, c) => ({ convertedObjects: c.map((o) => ({ ...o, metadata: { ...(o['metadata'] as object), name: 'b' } })) }),
      'conversion webhook for stable.example.com/v1, Kind=CronTab failed: expected response.uid="': () => ({ uid: 'other' }),
    }
    for (const [message, change] of Object.entries(wrong)) {
      const hook = await converter(change)
      const h = server()
      await define(h, hostPorts(hook))
      await h.call('POST', TABS, cronTab('a', { hostPort: 'h:1' }))
      for (const path of [`${V2}/a`, V2]) {
        const answer: { status: number; json: Loose } = await h.call('GET', path)
        assert.deepEqual([answer.status, answer.json['reason'], answer.json['details']], [500, undefined, undefined], path)
        assert.ok(String(answer.json['message']).startsWith(message), `${String(answer.json['message'])}\n${message}`)
      }
      const dry = await h.call('POST', `${V2}?dryRun=All`, { ...cronTab('a2', { host: 'h', port: '1' }), apiVersion: 'stable.example.com/v2' })
      assert.deepEqual([dry.status, String(dry.json['message']).startsWith('conversion webhook for stable.example.com/v2, Kind=CronTab ')], [500, true], 'a dry run asks as well')
      h.api.close()
      await hook.close()
    }
  })
})
