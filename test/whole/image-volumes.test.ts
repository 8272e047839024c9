/** Image volumes on a real node: pulled from a real registry, mounted by the embedded runtime, seen from inside the container. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const pod = (name: string, reference: string, mount: object = {}) => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name },
  spec: {
    terminationGracePeriodSeconds: 1, volumes: [{ name: 'data', image: { reference, pullPolicy: 'Always' } }],
    containers: [{ name: 'main', image: 'busybox:1', command: ['sleep', '3600'], volumeMounts: [{ name: 'data', mountPath: '/data', ...mount }] }],
  },
})

describe('image volumes', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const node = (): LabHost => {
    const [host] = cluster.lab.hosts
    if (!host) throw new Error('the lab has no host')
    return host
  }
  const apply = (object: object) => cluster.must(['apply', '-f', '-'], { input: JSON.stringify(object) })
  const waiting = async (name: string) => (await cluster.must(['get', 'pod', name, '-o', 'jsonpath={.status.containerStatuses[0].state.waiting.reason} {.status.containerStatuses[0].state.waiting.message}'])).trim()
  const mountsOfImages = () => readFileSync(`/proc/${node().holderPid}/mounts`, 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '').filter((path) => path.includes('/images/'))

  before(async () => {
    cluster = await Cluster.create({ hosts: 1 })
  })
  after(() => cluster.destroy())

  it('shows an image, or a part of it, that nobody can write to; its programs run; the status tells its digest; the agent may be killed', async () => {
    await apply(pod('whole', 'busybox:2'))
    await apply(pod('part', 'busybox:2', { subPath: 'var/www' }))
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/whole', 'pod/part'], { timeoutMs: 70_000 })
    const inPod = async (name: string, script: string) => (await cluster.kubectl(['exec', name, '--', 'sh', '-c', `${script} 2>&1`])).stdout.trim()
    assert.deepStrictEqual([await inPod('whole', 'cat /data/var/www/index.html'), await inPod('part', 'cat /data/index.html')], ['hello from busybox', 'hello from busybox'])
    assert.match(await inPod('whole', 'touch /data/x'), /Read-only file system/)
    assert.equal(await inPod('whole', '/data/bin/busybox echo ran'), 'ran')
    const [told = '', ...images] = (await cluster.must(['get', 'pod', 'whole', '-o', 'jsonpath={.status.containerStatuses[0].volumeMounts[0].volumeStatus.image.imageRef} {.status.containerStatuses[0].imageID}'])).split(' ')
    assert.match(told, /\/library\/busybox@sha256:[0-9a-f]{64}$/)
    assert.notEqual(told, images[0], 'the volume is another image than the container')
    await cluster.stop(node(), 'SIGKILL')
    cluster.start(node())
    await cluster.waitForNodes()
    await until('the pod is reached again', 30_000, async () => (await inPod('part', 'cat /data/index.html')) === 'hello from busybox')
    assert.equal((await cluster.must(['get', 'pod', 'part', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}'])).trim(), '0')
  })

  it('says what is wrong where an image or its part cannot be had, and leaves no mount behind', async () => {
    await apply(pod('no-part', 'busybox:2', { subPath: 'none' }))
    await apply(pod('no-image', 'busybox:none'))
    await until('the part is not found', 30_000, async () => /^CreateContainerError ImageVolumeMountFailed: sub path "none" does not exist in image "docker\.io\/library\/busybox:2"$/.test(await waiting('no-part')))
    await until('the image is not found', 30_000, async () => /^(ErrImagePull|ImagePullBackOff) .*busybox:none/.test(await waiting('no-image')))
    assert.equal(mountsOfImages().length, 2)
    await cluster.must(['delete', 'pod', '--all', '--timeout=60s'], { timeoutMs: 70_000 })
    assert.deepStrictEqual(mountsOfImages(), [])
  })
})
