/**
 * What upstream's conformance tests ask of every kind ("should support X API operations", "should run through the lifecycle of X"):
 * discovery, create, get, list by label here and everywhere, watch, patch, update, the status by get, patch and update, delete, deletecollection.
 */
import { deepStrictEqual, ok } from 'node:assert'
import { describe, test } from 'node:test'
import { items, type Loose } from '#server/apiserver/app.test-support.ts'
import { type Cluster, MERGE } from '#server/apiserver/kinds/kinds.test-support.ts'
import { type Json, KINDS } from './kinds.ts'
import { good, prepared } from './server.ts'

const LABEL = { 'special-label': 'e2e' }
const SELECTOR = '?labelSelector=special-label%3De2e'
const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

for (const kind of KINDS) {
  const { root, resource } = kind
  const name = kind.name ?? ((n: number) => `e2e-${n}`)
  const path = kind.namespaced ? `${root}/namespaces/default/${resource}` : `${root}/${resource}`
  const make = (n: number): Json => ({ metadata: { name: name(n), labels: LABEL }, ...kind.object, ...kind.each?.(n) })

  describe(`${root}/${resource}`, () => {
    test('is in the discovery documents with its verbs', async () => {
      const { call } = await prepared()
      const [, , group = '', version = ''] = root.split('/')
      if (root !== '/api/v1') {
        const groups = items<Loose>((await good(call('GET', '/apis'))).json['groups']).filter((g) => String(g['name']) === group)
        deepStrictEqual(groups.map((g) => items<{ version: string }>(g['versions']).some((v) => v.version === version)), [true])
        ok(items<{ version: string }>((await good(call('GET', `/apis/${group}`))).json['versions']).some((v) => v.version === version))
      }
      const served = items<{ name: string; verbs: string[] }>((await good(call('GET', root))).json['resources']).filter((r) => r.name === resource || r.name === `${resource}/status`)
      const verbs = VERBS.filter((verb) => !kind.without?.includes(verb))
      deepStrictEqual(served.map((r) => [r.name, [...r.verbs].sort()]), [[resource, verbs], ...(kind.status ? [[`${resource}/status`, ['get', 'patch', 'update']]] : [])])
    })

    test('is created, read, listed, watched, patched, updated and deleted', async () => {
      const { call, watch } = await prepared()
      for (const n of [1, 2, 3]) await good(call('POST', path, make(n)), 201)
      const one = `${path}/${name(1)}`
      const created = (await good(call('GET', one))).json
      const here = (await good(call('GET', `${path}${SELECTOR}`))).json
      const everywhere = (await good(call('GET', `${root}/${resource}${SELECTOR}`))).json
      deepStrictEqual([namesOf(here), namesOf(everywhere)], [[1, 2, 3].map(name), [1, 2, 3].map(name)])
      const watched = await watch(`${path}?watch=1&resourceVersion=${String(here['metadata']?.['resourceVersion'])}&labelSelector=special-label%3De2e`)

      const patched = (await good(call('PATCH', one, { metadata: { annotations: { patched: 'true' } } }, MERGE))).json
      deepStrictEqual(annotation(patched, 'patched'), 'true')
      const updated = (await good(call('PUT', one, withAnnotation(patched, 'updated')))).json
      deepStrictEqual([annotation(updated, 'updated'), String(updated['metadata']?.['uid'])], ['true', String(created['metadata']?.['uid'])])
      // The server's own loops may write meanwhile (conditions of flow schemas).
      while (!watched.events.some((e) => annotation(e['object'], 'updated') === 'true')) await watched.next(1)
      const seen = watched.events.filter((e) => annotation(e['object'], 'patched') === 'true').map((e) => [String(e['type']), annotation(e['object'], 'updated')])
      deepStrictEqual([seen[0], seen.at(-1)], [['MODIFIED', undefined], ['MODIFIED', 'true']])

      await unheld(call, one)
      await good(call('DELETE', one, { gracePeriodSeconds: 0, propagationPolicy: 'Background' }))
      if (resource === 'namespaces') return
      deepStrictEqual((await call('GET', one)).status, 404)
      deepStrictEqual(namesOf((await good(call('GET', `${path}${SELECTOR}`))).json), [2, 3].map(name))
      if (kind.without?.includes('deletecollection')) return
      for (const n of [2, 3]) await unheld(call, `${path}/${name(n)}`)
      await good(call('DELETE', `${path}${SELECTOR}`, { gracePeriodSeconds: 0, propagationPolicy: 'Background' }))
      deepStrictEqual(namesOf((await good(call('GET', `${path}${SELECTOR}`))).json), [])
      watched.stop()
    })

    const { status } = kind
    if (status) {
      test('has a status that is read, patched and updated', async () => {
        const { call } = await prepared()
        await good(call('POST', path, make(1)), 201)
        const at = `${path}/${name(1)}/status`
        const { spec, kind: kindName, metadata } = (await good(call('GET', at))).json
        const patched = (await good(call('PATCH', at, { ...status.patch, metadata: { annotations: { patchedstatus: 'true' } } }, MERGE))).json
        deepStrictEqual([subset(patched['status'], status.patch['status']), annotation(patched, 'patchedstatus'), patched['spec'], patched['kind']], [status.patch['status'], status.metadata ? 'true' : undefined, spec, kindName])
        const updated = (await good(call('PUT', at, withAnnotation(patched, 'updatedstatus')))).json
        deepStrictEqual([subset(updated['status'], status.patch['status']), annotation(updated, 'updatedstatus'), String(updated['metadata']?.['uid'])], [status.patch['status'], status.metadata ? 'true' : undefined, String(metadata?.['uid'])])
      })
    }
  })
}

/** Without the finalizers that admission gave it, whose controllers are not at work here. */
async function unheld(call: Cluster['call'], one: string): Promise<void> {
  await good(call('PATCH', one, { metadata: { finalizers: null } }, MERGE))
}

const namesOf = (list: Loose): string[] => items<{ metadata: { name: string } }>(list['items']).map((o) => o.metadata.name)

const annotation = (object: Loose | undefined, name: string): string | undefined => object?.['metadata']?.['annotations']?.[name]?.toString()

function withAnnotation(object: Loose, name: string): unknown {
  return { ...object, metadata: { ...object['metadata'], annotations: { ...object['metadata']?.['annotations'], [name]: 'true' } } }
}

/** Of `value` what `like` speaks of. */
function subset(value: unknown, like: unknown): unknown {
  if (Array.isArray(like)) return Array.isArray(value) ? value.map((v, i) => subset(v, like[i])) : value
  if (typeof like !== 'object' || like === null || typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.keys(like).map((key) => [key, subset((value as Json)[key], (like as Json)[key])]))
}
