import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CM, configMap, harness } from './app.test-support.ts'

describe('objects', () => {
  test('create, get, update and delete answer as upstream does', async () => {
    const { call } = harness()
    const made = await call('POST', CM, configMap('a'))
    assert.equal(made.status, 201)
    assert.deepEqual(Object.keys(made.json), ['kind', 'apiVersion', 'metadata', 'data'])
    assert.equal(made.json['metadata']?.['namespace'], 'default')
    assert.equal(made.json['metadata']?.['resourceVersion'], '2')
    const got = await call('GET', `${CM}/a`)
    assert.deepEqual([got.status, got.json], [200, made.json])
    const put = await call('PUT', `${CM}/a`, { ...made.json, data: { k: 'w' } })
    assert.deepEqual([put.status, put.json['data'], put.json['metadata']?.['resourceVersion']], [200, { k: 'w' }, '3'])
    const gone = await call('DELETE', `${CM}/a`)
    assert.deepEqual([gone.status, gone.json], [200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name: 'a', kind: 'configmaps', uid: made.json['metadata']?.['uid'] } }])
    const missing = await call('GET', `${CM}/a`)
    assert.deepEqual([missing.status, missing.json], [404, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: 'configmaps "a" not found', reason: 'NotFound', details: { name: 'a', kind: 'configmaps' }, code: 404 }])
  })

  test('a name that is taken is 409 AlreadyExists', async () => {
    const { call } = harness()
    await call('POST', CM, configMap('a'))
    const again = await call('POST', CM, configMap('a'))
    assert.deepEqual([again.status, again.json['reason'], again.json['message']], [409, 'AlreadyExists', 'configmaps "a" already exists'])
  })

  test('an update at an old resourceVersion is 409 Conflict, without one it goes through, without a change it writes nothing', async () => {
    const { call, store } = harness()
    const made = await call('POST', CM, configMap('a'))
    await call('PUT', `${CM}/a`, configMap('a', { data: { k: '2' } }))
    const stale = await call('PUT', `${CM}/a`, { ...made.json, data: { k: '3' } })
    assert.deepEqual([stale.status, stale.json['message']], [409, 'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again'])
    const before = store.revision()
    const same = await call('PUT', `${CM}/a`, configMap('a', { data: { k: '2' } }))
    assert.deepEqual([same.status, store.revision(), same.json['metadata']?.['resourceVersion']], [200, before, String(before)])
  })
})
