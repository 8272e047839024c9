import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imageVolumesOf } from './labels.ts'
import { pod, startNodeWorld, type NodeWorld } from './testing/node-world.ts'

const state = (w: NodeWorld, name: string, container = 'app') => w.pod(name)?.status?.containerStatuses?.find((c) => c.name === container)

test('an image volume: pulled by its own policy before the container, mounted by the runtime, told by digest, and kept from garbage collection by its id on the container', async (t) => {
  const w = await startNodeWorld(t)
  w.runtime.control.serve('registry.local/data:1')
  const spec = { containers: [{ name: 'app', image: 'busybox:1', volumeMounts: [{ name: 'data', mountPath: '/data', subPath: 'models' }] }], volumes: [{ name: 'data', image: { reference: 'registry.local/data:1', pullPolicy: 'IfNotPresent' } }, { name: 'unused', image: { reference: 'registry.local/none:1' } }] }
  w.create(pod('with-image', spec))
  await w.until('running', () => w.pod('with-image')?.status?.phase === 'Running')
  const volume = await w.runtime.imageStatus('registry.local/data:1')
  assert.ok(volume)
  const [container] = w.runtime.control.running('app')
  assert.ok(container)
  assert.deepStrictEqual(w.runtime.control.configOf(container.id).mounts.find((m) => m.containerPath === '/data'), { containerPath: '/data', hostPath: '', readonly: true, propagation: 'private', image: volume.id, imageSubPath: 'models' })
  assert.deepStrictEqual(state(w, 'with-image')?.volumeMounts, [{ name: 'data', mountPath: '/data', volumeStatus: { image: { imageRef: volume.repoDigests[0] } } }])
  assert.deepStrictEqual(w.events.filter((e) => e.reason.startsWith('Pull')).map((e) => [e.about, e.reason, e.message.split('"')[1]]), [
    ['with-image', 'Pulling', 'registry.local/data:1'], ['with-image', 'Pulled', 'registry.local/data:1'], ['spec.containers{app}', 'Pulled', 'busybox:1'],
  ])
  assert.deepStrictEqual([...imageVolumesOf(container.annotations)], [['data', volume.id]])
})

test('an image volume whose image cannot be had keeps its containers waiting with the reasons of an image, by its name; others run', async (t) => {
  const w = await startNodeWorld(t)
  const containers = [{ name: 'app', image: 'busybox:1', volumeMounts: [{ name: 'data', mountPath: '/data' }] }, { name: 'other', image: 'busybox:1' }]
  w.create(pod('lost', { containers, volumes: [{ name: 'data', image: { reference: 'registry.local/data:9', pullPolicy: 'Always' } }] }))
  await w.until('ErrImagePull', () => state(w, 'lost')?.state?.waiting?.reason === 'ErrImagePull')
  await w.until('ImagePullBackOff', () => state(w, 'lost')?.state?.waiting?.reason === 'ImagePullBackOff')
  assert.match(state(w, 'lost')?.state?.waiting?.message ?? '', /^Back-off pulling image "registry.local\/data:9": ErrImagePull: .*not found$/)
  assert.deepStrictEqual(w.runtime.control.running().map((c) => c.metadata.name), ['other'])
  await w.until('the back-off is told', () => w.events.some((e) => e.reason === 'BackOff' && e.message === 'Back-off pulling image "registry.local/data:9"'))
  w.create(pod('never', { containers, volumes: [{ name: 'data', image: { reference: 'registry.local/data:9', pullPolicy: 'Never' } }] }))
  await w.until('ErrImageNeverPull', () => state(w, 'never')?.state?.waiting?.reason === 'ErrImageNeverPull')
  w.runtime.control.serve('registry.local/data:9')
  await w.until('running', () => state(w, 'lost')?.state?.running !== undefined && state(w, 'never')?.state?.running !== undefined)
})

test('what the runtime says of an image volume that it cannot mount is the reason a container is not created', async (t) => {
  const w = await startNodeWorld(t)
  w.runtime.control.addImage('registry.local/data:1')
  w.runtime.control.fail('createContainer', new Error('ImageVolumeMountFailed: sub path "none" does not exist'))
  w.create(pod('bad', { containers: [{ name: 'app', image: 'busybox:1', volumeMounts: [{ name: 'data', mountPath: '/data', subPath: 'none' }] }], volumes: [{ name: 'data', image: { reference: 'registry.local/data:1' } }] }))
  await w.until('CreateContainerError', () => state(w, 'bad')?.state?.waiting?.reason === 'CreateContainerError')
  assert.equal(state(w, 'bad')?.state?.waiting?.message, 'ImageVolumeMountFailed: sub path "none" does not exist')
  assert.ok(w.events.some((e) => e.reason === 'Failed' && e.message === 'Error: ImageVolumeMountFailed: sub path "none" does not exist'))
})
