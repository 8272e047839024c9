import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CM, configMap, harness, items, PODS, type Answer, type Harness } from '../app.test-support.ts'

const names = (answer: Answer): string[] => (answer.json['items'] as unknown as { metadata: { name: string } }[]).map((i) => i.metadata.name)
const labelled = (name: string, labels: Record<string, string>) => configMap(name, { metadata: { name, labels } })

async function filled(count: number): Promise<Harness> {
  const h = harness()
  for (let i = 0; i < count; i++) await h.call('POST', CM, labelled(`c${String(i).padStart(2, '0')}`, { shard: String(i % 3) }))
  return h
}

describe('listing', () => {
  test('items come in key order without kind and apiVersion, with the revision of the state', async () => {
    const { call, store } = await filled(3)
    await call('POST', '/api/v1/namespaces/other/configmaps', configMap('z'))
    const all = await call('GET', '/api/v1/configmaps')
    assert.deepEqual([all.json['kind'], all.json['apiVersion'], all.json['metadata'], names(all)], ['ConfigMapList', 'v1', { resourceVersion: String(store.revision()) }, ['c00', 'c01', 'c02', 'z']])
    assert.deepEqual(Object.keys((all.json['items'] as unknown as object[])[0] ?? {}), ['metadata', 'data'])
    assert.deepEqual(names(await call('GET', CM)), ['c00', 'c01', 'c02'])
    assert.deepEqual((await call('GET', PODS)).json['items'], [])
  })

  test('a namespace whose name begins like another is kept apart', async () => {
    const { call } = harness()
    for (const ns of ['a', 'a-b', 'a0', 'b']) await call('POST', `/api/v1/namespaces/${ns}/configmaps`, configMap(`in-${ns}`))
    assert.deepEqual(names(await call('GET', '/api/v1/namespaces/a/configmaps')), ['in-a'])
  })

  test('pages are of one state, though objects come and go meanwhile', async () => {
    const { call } = await filled(10)
    const first = await call('GET', `${CM}?limit=4`)
    assert.deepEqual([names(first), first.json['metadata']?.['remainingItemCount']], [['c00', 'c01', 'c02', 'c03'], 6])
    await call('DELETE', `${CM}/c05`)
    await call('POST', CM, configMap('c045'))
    const second = await call('GET', `${CM}?limit=4&continue=${String(first.json['metadata']?.['continue'])}`)
    assert.deepEqual([names(second), second.json['metadata']?.['resourceVersion'], second.json['metadata']?.['remainingItemCount']], [['c04', 'c05', 'c06', 'c07'], first.json['metadata']?.['resourceVersion'], 2])
    const last = await call('GET', `${CM}?limit=4&continue=${String(second.json['metadata']?.['continue'])}`)
    assert.deepEqual([names(last), last.json['metadata']?.['continue']], [['c08', 'c09'], undefined])
  })

  test('the last page and the whole list are not taken for each other', async () => {
    const { call } = await filled(5)
    const all = ['c00', 'c01', 'c02', 'c03', 'c04']
    const last = async () => {
      const first = await call('GET', `${CM}?limit=3`)
      return names(await call('GET', `${CM}?limit=3&continue=${String(first.json['metadata']?.['continue'])}`))
    }
    assert.deepEqual([names(await call('GET', CM)), await last(), names(await call('GET', CM))], [all, ['c03', 'c04'], all])
    await call('POST', CM, configMap('c05'))
    assert.deepEqual([await last(), names(await call('GET', CM))], [['c03', 'c04', 'c05'], [...all, 'c05']])
  })

  test('pages with a selector are full and tell no remaining count', async () => {
    const { call } = await filled(12)
    const first = await call('GET', `${CM}?limit=2&labelSelector=shard%3D1`)
    assert.deepEqual([names(first), first.json['metadata']?.['remainingItemCount']], [['c01', 'c04'], undefined])
    await call('POST', CM, configMap('later'))
    const rest = await call('GET', `${CM}?limit=50&labelSelector=shard%3D1&continue=${String(first.json['metadata']?.['continue'])}`)
    assert.deepEqual(names(rest), ['c07', 'c10'])
  })

  test('an expired continue token is 410 with a token that goes on inconsistently', async () => {
    const { call, store } = await filled(6)
    const first = await call('GET', `${CM}?limit=2`)
    await call('DELETE', `${CM}/c03`)
    await store.compact(store.revision())
    const gone = await call('GET', `${CM}?limit=2&continue=${String(first.json['metadata']?.['continue'])}`)
    assert.deepEqual([gone.status, gone.json['reason']], [410, 'Expired'])
    assert.match(String(gone.json['message']), /^The provided continue parameter is too old to display a consistent list result\./)
    const on = await call('GET', `${CM}?continue=${String(gone.json['metadata']?.['continue'])}`)
    assert.deepEqual([on.status, names(on)], [200, ['c02', 'c04', 'c05']])
  })

  test('a continue token is good for five minutes, whether anything of its kind changed or not; the one in the 410 goes on', async () => {
    const { call, clock } = await filled(6)
    const token = (answer: Answer) => String(answer.json['metadata']?.['continue'])
    const first = await call('GET', `${CM}?limit=2`)
    const page = () => call('GET', `${CM}?limit=2&continue=${token(first)}`)
    await call('POST', PODS.replace('pods', 'serviceaccounts'), { metadata: { name: 'other' } })
    await clock.advance(60_000)
    assert.deepEqual(names(await page()), ['c02', 'c03'])
    await clock.advance(4 * 60_000)
    assert.deepEqual(names(await page()), ['c02', 'c03'])
    await clock.advance(60_000)
    const gone = await page()
    assert.deepEqual([gone.status, gone.json['reason']], [410, 'Expired'])
    const on = await call('GET', `${CM}?limit=2&continue=${token(gone)}`)
    assert.deepEqual(names(on), ['c02', 'c03'])
    assert.deepEqual(names(await call('GET', `${CM}?limit=2&continue=${token(on)}`)), ['c04', 'c05'])
  })

  test('resourceVersion: exact, not older, any, future', async () => {
    const { call, store, clock } = await filled(3)
    const then = store.revision()
    await call('POST', CM, configMap('later'))
    assert.deepEqual(names(await call('GET', `${CM}?resourceVersion=${then}&resourceVersionMatch=Exact`)), ['c00', 'c01', 'c02'])
    assert.equal(names(await call('GET', `${CM}?resourceVersion=${then}&resourceVersionMatch=NotOlderThan`)).length, 4)
    assert.equal(names(await call('GET', `${CM}?resourceVersion=0&limit=1`)).length, 4)
    const future = call('GET', `${CM}?resourceVersion=9007199254740993`)
    await clock.advance(3_100)
    const answer = await future
    assert.equal(answer.json['message'], `Timeout: Too large resource version: 9007199254740993, current: ${store.revision()}`)
    const one = await call('GET', `${CM}/c00?resourceVersion=18446744073709551615`)
    assert.equal(one.json['message'], `Timeout: Too large resource version: 18446744073709551615, current: ${store.revision()}`)
    const beyond = await call('GET', `${CM}/c00?resourceVersion=18446744073709551616`)
    assert.deepEqual([beyond.status, beyond.json['message']], [400, 'resourceVersion: Invalid value: "18446744073709551616": strconv.ParseUint: parsing "18446744073709551616": value out of range'])
    assert.deepEqual([answer.status, answer.json['reason'], answer.json['details']?.['causes']], [504, 'Timeout', [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }]])
    await store.compact(store.revision())
    const old = await call('GET', `${CM}?resourceVersion=2&resourceVersionMatch=Exact`)
    assert.deepEqual([old.status, old.json['reason'], old.json['message']], [410, 'Expired', 'The resourceVersion for the provided list is too old.'])
  })

  test('wrong list options are 422 or 400 in upstream\'s words', async () => {
    const { call } = harness()
    const message = async (query: string) => {
      const answer = await call('GET', `${CM}?${query}`)
      return `${answer.status} ${String(answer.json['message'])}`
    }
    assert.equal(await message('resourceVersionMatch=Exact'), '422 ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided')
    assert.equal(await message('resourceVersion=x'), '400 invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax')
    assert.equal(await message('sendInitialEvents=true'), '422 ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list')
    assert.match(await message('resourceVersion=18446744073709551616'), /value out of range$/)
    assert.equal(await message('limit=x'), '400 strconv.ParseInt: parsing "x": invalid syntax')
    assert.equal(await message('timeoutSeconds=x'), '400 strconv.ParseInt: parsing "x": invalid syntax')
    assert.match(await message('continue=abc&resourceVersion=5'), /^400 invalid continue token: /)
    assert.match(await message('continue=abc'), /^400 invalid continue token: continue key is not valid: /)
    assert.equal(await message('fieldSelector=spec.nope%3Dx'), '400 "spec.nope" is not a known field selector: only "metadata.name", "metadata.namespace"')
    assert.equal((await call('GET', `${PODS}?fieldSelector=spec.nope%3Dx`)).json['message'], 'field label not supported: spec.nope')
    assert.equal(await message('shardSelector=half'), `400 invalid shardSelector: "half" is not of the form shardRange(object.metadata.uid, '0x<start>', '0x<end>')`)
    assert.equal(await message('resourceVersion=5&resourceVersionMatch=Newest&continue=abc'), '422 ListOptions.meta.k8s.io "" is invalid: [resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided, resourceVersionMatch: Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", ""]')
    assert.equal(await message('resourceVersion=0&resourceVersionMatch=Exact'), '422 ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    assert.equal(await message('watch=1&resourceVersionMatch=NotOlderThan'), '422 ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
    assert.equal(await message('watch=1&sendInitialEvents=true&resourceVersionMatch=Exact'), '422 ListOptions.meta.k8s.io "" is invalid: [resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]')
    assert.equal(await message('limit=-1'), '200 undefined')
    assert.match(await message('labelSelector=a%20in%20(b'), /^400 unable to parse requirement: /)
    assert.match(await message('watch=1&sendInitialEvents=true'), /^422 .*sendInitialEvents requires setting resourceVersionMatch to NotOlderThan$/)
  })

  test('label and field selectors', async () => {
    const { call } = harness()
    for (const [name, node] of [['a', 'n1'], ['b', 'n2'], ['c', '']] as const) {
      await call('POST', PODS, { metadata: { name, labels: { app: name, ...(name !== 'a' && { tier: 'x' }) } }, spec: { ...(node && { nodeName: node }), containers: [] } })
    }
    const by = async (query: string) => names(await call('GET', `${PODS}?${query}`)).join('')
    assert.deepEqual(await Promise.all(['labelSelector=app+in+(a,b)', 'labelSelector=app+notin+(a)', 'labelSelector=tier', 'labelSelector=!tier', 'labelSelector=app!%3Da,tier%3Dx',
      'fieldSelector=spec.nodeName%3Dn1', 'fieldSelector=spec.nodeName%3D', 'fieldSelector=metadata.name%3Db', 'fieldSelector=metadata.name!%3Db,spec.nodeName!%3Dn1'].map(by)),
    ['ab', 'bc', 'bc', 'a', 'bc', 'a', 'c', 'b', 'c'])
  })
})

describe('shards', () => {
  const HALF = '0x8000000000000000'
  const range = (field: string, from: string, to: string) => `shardRange(object.metadata.${field}, '${from}', '${to}')`
  const query = (...ranges: string[]) => `shardSelector=${encodeURIComponent(ranges.join(' || '))}`

  test('the two halves of a collection are together the whole, and each tells what it is', async () => {
    const { call } = await filled(20)
    const lower = await call('GET', `${CM}?${query(range('uid', '0x0', HALF))}&limit=500`)
    const upper = await call('GET', `${CM}?${query(range('uid', HALF, '0x10000000000000000'))}`)
    assert.ok(names(lower).length > 0 && names(upper).length > 0)
    assert.deepEqual([...names(lower), ...names(upper)].toSorted(), names(await call('GET', CM)))
    assert.deepEqual(lower.json['metadata']?.['shardInfo'], { selector: range('uid', '0x0', HALF) })
    const both = await call('GET', `${CM}?${query(range('uid', '0x0', HALF), range('uid', HALF, '0x10000000000000000'))}`)
    assert.equal(names(both).length, 20)
  })

  test('watches and deletions keep to their shard', async () => {
    const { call, watch } = harness()
    // FNV-1a: "a" is af63dc4c8601ec8c, "b" is af63df4c8601f1a5.
    const b = query(range('namespace', '0xaf63df4c8601f1a5', '0xaf63df4c8601f1a6'))
    const w = await watch(`/api/v1/configmaps?watch=1&${b}`)
    for (const ns of ['a', 'b']) await call('POST', `/api/v1/namespaces/${ns}/configmaps`, configMap(`in-${ns}`))
    assert.deepEqual(await w.next(1), ['ADDED in-b'])
    assert.deepEqual(names(await call('DELETE', `/api/v1/namespaces/a/configmaps?${b}`)), [])
    assert.deepEqual(names(await call('GET', '/api/v1/configmaps')), ['in-a', 'in-b'])
  })
})

describe('watching', () => {
  test('from a revision that is still to come: only what comes after it', async () => {
    const { call, watch, store } = await filled(1)
    const w = await watch(`${CM}?watch=1&resourceVersion=${store.revision() + 1}`)
    await call('POST', CM, configMap('not-after'))
    await call('POST', CM, configMap('after'))
    assert.deepEqual(await w.next(1), ['ADDED after'])
  })

  test('a table names its columns in the first event only, and bookmarks are tables', async () => {
    const { call, watch, clock } = await filled(2)
    const w = await watch(`${CM}?watch=1&allowWatchBookmarks=true`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    await w.next(3)
    await call('POST', CM, configMap('x'))
    await w.next(1)
    await clock.advance(60_000)
    await w.next(1)
    const seen = w.events.map(({ type, object }) => [type, object?.['kind'], Array.isArray(object?.['columnDefinitions']), items(object?.['rows']).length])
    assert.deepEqual(seen, [['ADDED', 'Table', true, 1], ['ADDED', 'Table', false, 1], ['BOOKMARK', 'Table', false, 1], ['ADDED', 'Table', false, 1], ['BOOKMARK', 'Table', false, 1]])
    const [marked] = items(w.events[2]?.['object']?.['rows'])
    assert.deepEqual(marked?.['object']?.['metadata']?.['annotations'], { 'k8s.io/initial-events-end': 'true' })
  })

  test('a name in the path and another in the field selector do not go together', async () => {
    const { call } = await filled(1)
    const answer = await call('GET', '/api/v1/watch/namespaces/default/configmaps/c00?fieldSelector=metadata.name%3Dother')
    assert.deepEqual([answer.status, answer.json['message']], [400, "fieldSelector metadata.name doesn't match requested name"])
  })

  test('from nowhere: what is there, then what happens, in order', async () => {
    const { call, watch } = await filled(2)
    const w = await watch(`${CM}?watch=1`)
    assert.deepEqual(await w.next(2), ['ADDED c00', 'ADDED c01'])
    await call('POST', CM, configMap('x'))
    await call('PUT', `${CM}/x`, configMap('x', { data: { k: '2' } }))
    await call('DELETE', `${CM}/x`)
    assert.deepEqual(await w.next(3), ['ADDED x', 'MODIFIED x', 'DELETED x'])
    const deleted = w.events.at(-1)?.['object']
    assert.deepEqual([deleted?.['kind'], deleted?.['apiVersion'], deleted?.['data'], Number(deleted?.['metadata']?.['resourceVersion'])], ['ConfigMap', 'v1', { k: '2' }, 6])
    w.stop()
    await w.ended
  })

  test('from a revision: exactly what came after, also from before the cache was there', async () => {
    const { call, watch, store } = harness()
    await call('POST', CM, configMap('a'))
    const from = store.revision()
    await call('POST', CM, configMap('b'))
    await call('DELETE', `${CM}/a`)
    const cold = await watch(`${CM}?watch=1&resourceVersion=${from}`)
    assert.deepEqual(await cold.next(2), ['ADDED b', 'DELETED a'])
    await call('POST', CM, configMap('c'))
    assert.deepEqual(await cold.next(1), ['ADDED c'])
    const warm = await watch(`${CM}?watch=1&resourceVersion=${from + 2}`)
    assert.deepEqual(await warm.next(1), ['ADDED c'])
  })

  test('from long ago: all of it in order, though no more than a part is held at a time, and then what happens', async () => {
    const { call, watch, store } = harness()
    for (let i = 1; i <= 150; i++) await call(i === 1 ? 'POST' : 'PUT', i === 1 ? CM : `${CM}/a`, configMap('a', { data: { i: String(i), filler: 'x'.repeat(20_000) } }))
    const slow = await watch(`${CM}?watch=1&resourceVersion=1&allowWatchBookmarks=true`)
    slow.fill()
    const w = await watch(`${CM}?watch=1&resourceVersion=1`)
    await call('POST', CM, configMap('b'))
    await w.next(151)
    assert.deepEqual(w.events.map((e) => Number(e['object']?.['metadata']?.['resourceVersion'])), Array.from({ length: 151 }, (_, i) => i + 2))
    assert.ok(slow.events.length < 100)
    slow.drain()
    await slow.next(151)
    assert.deepEqual(slow.events, w.events)
    assert.equal(store.revision(), 152)
  })

  test('from long ago, told to a client that takes it slowly while more is written than the ring has room for: all of it, once', async () => {
    const { call, watch } = harness()
    const big = (i: number) => configMap(`a${i}`, { data: { filler: 'x'.repeat(60_000) } })
    for (let i = 1; i <= 30; i++) await call('POST', CM, big(i))
    const slow = await watch(`${CM}?watch=1&resourceVersion=1`)
    slow.fill()
    // The ring has room for 8 MiB; history counts what was there before.
    for (let i = 31; i <= 200; i++) await call('POST', CM, big(i))
    assert.ok(slow.events.length < 30)
    slow.drain()
    await slow.next(200)
    assert.deepEqual(slow.events.map((e) => Number(e['object']?.['metadata']?.['resourceVersion'])), Array.from({ length: 200 }, (_, i) => i + 2))
    await call('POST', CM, configMap('b'))
    assert.deepEqual(await slow.next(1), ['ADDED b'])
  })

  test('from long ago, which is forgotten before it is told: 410 after what was told', async () => {
    const { call, watch, store } = harness()
    for (let i = 1; i <= 150; i++) await call(i === 1 ? 'POST' : 'PUT', i === 1 ? CM : `${CM}/a`, configMap('a', { data: { i: String(i), filler: 'x'.repeat(20_000) } }))
    const slow = await watch(`${CM}?watch=1&resourceVersion=1`)
    slow.fill()
    await store.compact(store.revision())
    slow.drain()
    await slow.ended
    const told = slow.events.slice(0, -1).map((e) => Number(e['object']?.['metadata']?.['resourceVersion']))
    assert.deepEqual(told, Array.from({ length: told.length }, (_, i) => i + 2))
    assert.ok(told.length > 0 && told.length < 150, String(told.length))
    assert.deepEqual([slow.events.at(-1)?.['type'], slow.events.at(-1)?.['object']?.['code'], slow.events.at(-1)?.['object']?.['reason']], ['ERROR', 410, 'Expired'])
  })

  test('a revision that is compacted is told inside the stream as 410 Expired', async () => {
    const { call, watch, store } = await filled(3)
    await call('GET', CM)
    await call('POST', PODS, { metadata: { name: 'p' }, spec: { containers: [] } })
    await store.compact(store.revision())
    const w = await watch(`${CM}?watch=1&resourceVersion=2`)
    await w.ended
    assert.deepEqual(w.events.map((e) => [e['type'], e['object']?.['code'], e['object']?.['reason']]), [['ERROR', 410, 'Expired']])
  })

  test('what moves into a selector is ADDED, what moves out is DELETED as it last was', async () => {
    const { call, watch } = harness()
    const w = await watch(`${CM}?watch=1&labelSelector=a%3D1`)
    await call('POST', CM, labelled('x', { a: '0' }))
    await call('PUT', `${CM}/x`, labelled('x', { a: '1' }))
    await call('PUT', `${CM}/x`, configMap('x', { metadata: { name: 'x', labels: { a: '1' } }, data: { k: 'seen' } }))
    await call('PUT', `${CM}/x`, configMap('x', { metadata: { name: 'x', labels: { a: '2' } }, data: { k: 'unseen' } }))
    await call('DELETE', `${CM}/x`)
    await call('POST', CM, labelled('y', { a: '1' }))
    assert.deepEqual(await w.next(4), ['ADDED x', 'MODIFIED x', 'DELETED x', 'ADDED y'])
    assert.deepEqual([w.events[2]?.['object']?.['data'], w.events[2]?.['object']?.['metadata']?.['resourceVersion']?.toString()], [{ k: 'seen' }, '5'])
  })

  test('sendInitialEvents ends its list with a marked bookmark', async () => {
    const { call, watch, store } = await filled(2)
    const w = await watch(`${CM}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`)
    assert.deepEqual(await w.next(3), ['ADDED c00', 'ADDED c01', 'BOOKMARK'])
    const blueprint = Buffer.from('{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[]}\n').toString('base64')
    assert.deepEqual(w.events[2]?.['object'], { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion: String(store.revision()), annotations: { 'k8s.io/initial-events-end': 'true', 'kubernetes.io/initial-events-list-blueprint': blueprint } } })
    await call('POST', CM, configMap('x'))
    assert.deepEqual(await w.next(1), ['ADDED x'])
  })

  test('bookmarks come within a minute and before the end, and the end comes in time', async () => {
    const { call, watch, clock, store } = harness()
    const w = await watch(`${CM}?watch=1&allowWatchBookmarks=true&timeoutSeconds=90`)
    await call('POST', PODS, { metadata: { name: 'p' }, spec: { containers: [] } })
    assert.deepEqual(await w.next(1), ['BOOKMARK'])
    await clock.advance(60_000)
    assert.deepEqual(await w.next(1), ['BOOKMARK'])
    assert.equal(w.events[1]?.['object']?.['metadata']?.['resourceVersion']?.toString(), String(store.revision()))
    await clock.advance(29_000)
    assert.deepEqual(await w.next(1), ['BOOKMARK'])
    await clock.advance(2_000)
    await w.ended
    assert.equal(clock.pending > 0, true)
  })

  test('a slow watcher is parked and catches up from the ring', async () => {
    const { call, watch } = harness()
    const slow = await watch(`${CM}?watch=1`)
    const fast = await watch(`${CM}?watch=1`)
    slow.fill()
    for (let i = 0; i < 200; i++) await call('POST', CM, configMap(`c${i}`))
    await fast.next(200)
    assert.ok(slow.events.length < 200)
    slow.drain()
    await slow.next(200)
    assert.deepEqual(slow.events, fast.events)
  })

  test('a watcher that stays behind too long is cut with 410, and the others notice nothing', async () => {
    const { call, watch } = harness()
    const slow = await watch(`${CM}?watch=1`)
    const fast = await watch(`${CM}?watch=1`)
    slow.fill()
    const big = 'x'.repeat(200_000)
    for (let i = 0; i < 60; i++) await call('PUT', `${CM}/a`, configMap('a', { data: { i: String(i), big } })).then(async (r) => { if (r.status === 404) await call('POST', CM, configMap('a')) })
    await fast.next(60)
    await slow.ended
    assert.deepEqual([slow.events.at(-1)?.['type'], slow.events.at(-1)?.['object']?.['code']], ['ERROR', 410])
    fast.stop()
    await fast.ended
  })

  test('closing the server ends all watches', async () => {
    const { api, watch } = await filled(1)
    const watches = await Promise.all([watch(`${CM}?watch=1`), watch(`${CM}?watch=1&resourceVersion=2`)])
    api.close()
    await Promise.all(watches.map((w) => w.ended))
  })

  test('what is in flight while a server stops sees each write that was answered, with its revision', async () => {
    const { api, call, watch } = await filled(1)
    const watched = await watch(`${CM}?watch=1`)
    api.close()
    await watched.ended
    for (const name of ['c01', 'c02', 'c03']) {
      const { resourceVersion } = (await call('POST', CM, configMap(name))).json['metadata'] as unknown as { resourceVersion: string }
      const seen = await call('GET', CM)
      assert.deepEqual([names(seen).at(-1), seen.json['metadata']], [name, { resourceVersion }])
      assert.deepEqual(((await call('GET', `${CM}/${name}`)).json['metadata'] as unknown as { name: string }).name, name)
    }
    await (await watch(`${CM}?watch=1&resourceVersion=1`)).ended
  })

  test('events of one object are never lost or doubled under many writers and watchers', async () => {
    const { call, watch } = harness()
    const watches = await Promise.all(Array.from({ length: 5 }, () => watch(`${CM}?watch=1`)))
    await Promise.all(Array.from({ length: 10 }, async (_, w) => {
      for (let i = 0; i < 10; i++) {
        await call('POST', CM, configMap(`w${w}-${i}`))
        if (i % 2 === 0) await call('DELETE', `${CM}/w${w}-${i}`)
      }
    }))
    const late = await watch(`${CM}?watch=1&resourceVersion=1`)
    for (const w of [...watches, late]) {
      await w.next(150)
      const revisions = w.events.map((e) => Number(e['object']?.['metadata']?.['resourceVersion']))
      assert.deepEqual(revisions, Array.from({ length: 150 }, (_, i) => i + 2))
    }
  })
})
