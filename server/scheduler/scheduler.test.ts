import assert from 'node:assert/strict'
import { it } from 'node:test'
import { PODS, type KubeObject, type Pod } from '#api/types/index.ts'
import { startScheduling } from './scheduler.test-support.ts'

const MERGE = 'application/merge-patch+json'

it('a pod finds its node once another there holds less: when its node says so, not when it is asked', { timeout: 180_000 }, async (t) => {
  const cluster = await startScheduling(t)
  const { client } = cluster
  await cluster.addBareNode('n1')
  const pod = (name: string, cpu: string) => client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] } } as KubeObject)
  const get = (name: string) => client.get<Pod>(PODS, name, 'default')
  const scheduled = async (name: string) => (await get(name)).status?.conditions?.find((c) => c.type === 'PodScheduled')
  const says = (cpu: string) => client.patch(PODS, 'large', 'default', MERGE, { status: { containerStatuses: [{ name: 'c', image: 'i', imageID: '', ready: true, restartCount: 0, resources: { requests: { cpu } }, allocatedResources: { cpu } }] } }, { subresource: 'status' })

  await pod('large', '3')
  await cluster.until('the first has its node', async () => assert.equal((await get('large')).spec?.nodeName, 'n1'))
  await says('3')
  await pod('late', '2')
  await cluster.until('there is no room', async () => assert.match((await scheduled('late'))?.message ?? '', /1 Insufficient cpu/))
  await client.patch(PODS, 'large', 'default', MERGE, { spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] } }, { subresource: 'resize' })
  await pod('later', '2')
  await cluster.until('there is none for a third', async () => assert.match((await scheduled('later'))?.message ?? '', /1 Insufficient cpu/))
  assert.equal((await get('late')).spec?.nodeName, undefined)
  await says('1')
  await cluster.until('the second has its node', async () => assert.equal((await get('late')).spec?.nodeName, 'n1'))
})
