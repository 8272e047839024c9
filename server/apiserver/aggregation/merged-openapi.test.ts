import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frontProxyUser } from '../middleware/front-proxy.ts'
import { addSubset, subsetOf } from './merged-openapi.ts'
import { parseGroupDiscoveryList, parseResourceList } from './remote-discovery.ts'

const ref = (name: string) => ({ $ref: `#/definitions/${name}` })

test('a subset is the paths of one group version and all they lean on, round and round', () => {
  const document = {
    paths: { '/apis/g/v1/things': { get: { schema: ref('A'), parameters: [{ $ref: '#/parameters/p' }] } }, '/apis/g/v1': { get: 1 }, '/apis/g/v10/things': { get: ref('D') } },
    definitions: { A: { items: ref('B') }, B: { back: ref('A'), text: { $ref: 7 } }, C: {}, D: {} }, parameters: { p: { name: 'p' }, q: {} },
  }
  assert.deepStrictEqual(subsetOf(document, 'g', 'v1'), { paths: { '/apis/g/v1/things': document.paths['/apis/g/v1/things'], '/apis/g/v1': { get: 1 } }, definitions: { A: document.definitions.A, B: document.definitions.B }, parameters: { p: { name: 'p' } } })
  assert.equal(subsetOf(document, 'g', 'v2'), undefined)
})

test('what is there stays; what is the same is shared; what is different gets a name of its own', () => {
  const own = { paths: { '/apis/g/v1/a': 'own' }, definitions: { Same: { x: 1 }, Other: { x: 1 }, Other_v2: { taken: true } } }
  addSubset(own, { paths: { '/apis/g/v1/a': 'theirs', '/apis/g/v1/b': [ref('Same'), ref('Other')] }, definitions: { Same: { x: 1 }, Other: { x: 2, self: ref('Other') } }, parameters: {} })
  assert.deepStrictEqual(own, {
    paths: { '/apis/g/v1/a': 'own', '/apis/g/v1/b': [ref('Same'), ref('Other_v3')] },
    definitions: { Same: { x: 1 }, Other: { x: 1 }, Other_v2: { taken: true }, Other_v3: { x: 2, self: ref('Other_v3') } },
  })
})

test('nothing that another server sends is too strange', () => {
  fc.assert(fc.property(fc.jsonValue(), fc.dictionary(fc.string(), fc.string()), (value, headers) => {
    const subset = subsetOf({ paths: { '/apis/g/v1/x': value }, definitions: value, parameters: value }, 'g', 'v1')
    if (subset) addSubset({ definitions: {} }, subset)
    parseResourceList(JSON.stringify({ kind: 'APIResourceList', resources: value }), 'g', 'v1')
    for (const items of [value, [{ metadata: value, versions: value }], [{ metadata: { name: 'g' }, versions: [{ version: 'v1', resources: value }, { resources: [{ subresources: value }] }] }]]) parseGroupDiscoveryList(JSON.stringify({ kind: 'APIGroupDiscoveryList', items }))
    frontProxyUser({ ...headers, 'x-remote-user': 'a', 'x-remote-extra-%zz': 'b' })
  }), { numRuns: 500 })
})
