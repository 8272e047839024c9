import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigMap, Stored } from '../types/index.ts'
import { createCache } from './cache.ts'

const configMap = (name: string, revision: number): Stored<ConfigMap> => ({ metadata: { name, namespace: 'a', uid: name, resourceVersion: String(revision), creationTimestamp: '2026-01-01T00:00:00Z' } })

test('a listener that comes late is told what is there, then what changes', () => {
  const failures: unknown[] = []
  const cache = createCache<ConfigMap>((error) => failures.push(error))
  cache.put(configMap('one', 1))
  cache.put(configMap('two', 2))
  const told: string[] = []
  const stop = cache.onChange((before, after) => told.push(`${before?.metadata.resourceVersion ?? '-'}>${after?.metadata.resourceVersion ?? '-'}`))
  assert.deepEqual(told, ['->1', '->2'])
  cache.put(configMap('one', 3))
  cache.remove('a/two')
  stop()
  cache.put(configMap('one', 4))
  assert.deepEqual(told, ['->1', '->2', '1>3', '2>-'])
  cache.onChange(() => { throw new Error('late') })
  assert.equal(failures.length, 1)
})
