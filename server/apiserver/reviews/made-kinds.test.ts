import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { items } from '../app.test-support.ts'
import { cluster, pod, PODS } from '../kinds/kinds.test-support.ts'

test('component statuses are made when asked for, as objects and as a table, and are never written', async () => {
  const c = cluster()
  const list = await c.call('GET', '/api/v1/componentstatuses')
  deepStrictEqual([list.json['kind'], items<{ metadata: { name: string } }>(list.json['items']).map((o) => o.metadata.name), list.headers['warning']], ['ComponentStatusList', ['scheduler', 'controller-manager', 'etcd-0'], '299 - "v1 ComponentStatus is deprecated in v1.19+"'])
  deepStrictEqual((await c.call('GET', '/api/v1/componentstatuses/etcd-0')).json['conditions'], [{ type: 'Healthy', status: 'True', message: 'ok' }])
  const table = await c.call('GET', '/api/v1/componentstatuses', undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
  deepStrictEqual(items<{ cells: unknown[] }>(table.json['rows']).map((r) => r.cells)[2], ['etcd-0', 'Healthy', 'ok', ''])
  deepStrictEqual([(await c.call('GET', '/api/v1/componentstatuses/x')).status, (await c.call('POST', '/api/v1/componentstatuses', {})).status], [404, 405])
})

test('a binding posted to the namespace binds the pod it names', async () => {
  const c = cluster()
  await c.create(PODS, pod())
  const bound = await c.call('POST', '/api/v1/namespaces/default/bindings', { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } })
  deepStrictEqual([bound.status, (await c.call('GET', `${PODS}/p`)).json['spec']?.['nodeName']], [201, 'n'])
  deepStrictEqual((await c.call('POST', '/api/v1/namespaces/default/bindings', { target: { name: 'n' } })).status, 400)
})
