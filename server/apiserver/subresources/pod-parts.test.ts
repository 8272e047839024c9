import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { causes, cluster, PODS } from '../kinds/kinds.test-support.ts'
import type { Answer } from '../app.test-support.ts'

const MERGE = { 'content-type': 'application/strategic-merge-patch+json' }
const PATH = `${PODS}/p`

async function withPod(over: object = {}, annotations: Record<string, string> = {}) {
  const c = cluster()
  await c.create(PODS, {
    metadata: { name: 'p', annotations },
    spec: { containers: [{ name: 'web', image: 'web', resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } } }], initContainers: [{ name: 'side', image: 's', restartPolicy: 'Always' }, { name: 'init', image: 'i' }], ...over },
  })
  return { ...c, patch: (part: string, spec: object) => c.call('PATCH', `${PATH}/${part}`, { spec }, MERGE) }
}

const containersOf = (answer: Answer, list: string) => (answer.json['spec']?.[list] ?? []) as unknown as { name: string; resources?: object; imagePullPolicy?: string; terminationMessagePolicy?: string; image?: string }[]

describe('pods/ephemeralcontainers', () => {
  test('debug containers are added with their defaults and stay as they are', async () => {
    const { patch, call } = await withPod()
    const added = await patch('ephemeralcontainers', { ephemeralContainers: [{ name: 'debugger', image: 'busybox', targetContainerName: 'web', stdin: true, tty: true }] })
    assert.deepStrictEqual([added.status, containersOf(added, 'ephemeralContainers')], [200, [{ name: 'debugger', image: 'busybox', targetContainerName: 'web', stdin: true, tty: true, imagePullPolicy: 'Always', terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File', resources: {} }]])
    const second = await patch('ephemeralcontainers', { ephemeralContainers: [{ name: 'two', image: 'busybox:1' }] })
    assert.deepStrictEqual(containersOf(second, 'ephemeralContainers').map((c) => c.name).toSorted(), ['debugger', 'two'])
    assert.deepStrictEqual(causes(await patch('ephemeralcontainers', { ephemeralContainers: [{ name: 'two', image: 'other' }] })), ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "two" may not be changed\n'])
    const pod = (await call('GET', PATH)).json as unknown as { spec: { ephemeralContainers: object[] } }
    assert.deepStrictEqual(causes(await call('PUT', `${PATH}/ephemeralcontainers`, { ...pod, spec: { ...pod.spec, ephemeralContainers: [] } })).toSorted(), ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "debugger" may not be removed\n', 'spec.ephemeralContainers: Forbidden: existing ephemeral containers "two" may not be removed\n'])
  })

  test('what is no container, or may not be one that comes late, is refused', async () => {
    const { patch } = await withPod()
    for (const [container, wanted] of [
      [{ name: 'Bad_Name', image: 'x' }, 'spec.ephemeralContainers[0].name: Invalid value'],
      [{ name: 'web', image: 'x' }, 'spec.ephemeralContainers[0].name: Duplicate value'],
      [{ name: 'd' }, 'spec.ephemeralContainers[0].image: Required value'],
      [{ name: 'd', image: 'x', targetContainerName: 'none' }, 'spec.ephemeralContainers[0].targetContainerName: Not found: "none"'],
      [{ name: 'd', image: 'x', ports: [{ containerPort: 80 }] }, 'spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container'],
      [{ name: 'd', image: 'x', resources: { limits: { cpu: '1' } } }, 'spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container'],
      [{ name: 'd', image: 'x', volumeMounts: [{ name: 'none', mountPath: '/x' }] }, 'spec.ephemeralContainers[0].volumeMounts[0].name: Not found: "none"'],
    ] as const) {
      const got = causes(await patch('ephemeralcontainers', { ephemeralContainers: [container] }))
      assert.ok(got.length === 1 && got[0]?.startsWith(wanted), `${JSON.stringify(container)}: ${got.join(', ')}`)
    }
  })

  test('nothing else of the pod changes, and a static pod not at all', async () => {
    const { patch } = await withPod()
    const answer = await patch('ephemeralcontainers', { ephemeralContainers: [{ name: 'd', image: 'x' }], containers: [{ name: 'web', image: 'other' }] })
    assert.deepStrictEqual([answer.status, containersOf(answer, 'containers')[0]?.image], [200, 'web'])
    const mirror = await withPod({ nodeName: 'n' }, { 'kubernetes.io/config.mirror': 'x' })
    assert.match(causes(await mirror.patch('ephemeralcontainers', { ephemeralContainers: [{ name: 'd', image: 'x' }] }))[0] ?? '', /static pods do not support ephemeral containers/)
  })
})

describe('pods/resize', () => {
  const resize = (resources: object, name = 'web') => ({ containers: [{ name, resources }] })

  test('cpu and memory of containers and sidecars change; the generation says so', async () => {
    const { patch, call } = await withPod()
    const answer = await patch('resize', { ...resize({ requests: { cpu: '200m' }, limits: { cpu: '1', memory: '256Mi' } }), initContainers: [{ name: 'side', resources: { requests: { cpu: '10m' } } }] })
    assert.deepStrictEqual([answer.status, containersOf(answer, 'containers')[0]?.resources, containersOf(answer, 'initContainers')[0]?.resources], [200, { requests: { cpu: '200m', memory: '64Mi' }, limits: { cpu: '1', memory: '256Mi' } }, { requests: { cpu: '10m' } }])
    assert.deepStrictEqual((await call('GET', PATH)).json['metadata']?.['generation'], 2)
  })

  test('what a running pod cannot take is refused', async () => {
    const { patch } = await withPod()
    for (const [spec, wanted] of [
      [resize({ requests: { cpu: null } }), ['spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed']],
      [resize({ limits: { memory: null } }), ['spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed']],
      [resize({ requests: { 'ephemeral-storage': '1Gi' } }), ['spec: Forbidden: only cpu and memory resources are mutable']],
      [resize({ requests: { memory: '1Gi' } }), ['spec.containers[0].resources.requests: Invalid value: "1Gi": must be less than or equal to memory limit of 128Mi']],
      [{ containers: [{ name: 'web', resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] }] }, ['spec: Forbidden: only cpu and memory resources are mutable']],
      [{ initContainers: [{ name: 'init', resources: { requests: { 'ephemeral-storage': '1' } } }] }, ['spec.initContainers[1]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable']],
    ] as const) assert.deepStrictEqual(causes(await patch('resize', spec)), wanted, JSON.stringify(spec))
  })

  test('containers stay where they are: none is renamed, moved, added or removed', async () => {
    const { call } = await withPod()
    const pod = (await call('GET', PATH)).json as unknown as { spec: { containers: { name: string }[]; initContainers: object[] } }
    const { spec } = pod
    const [web] = spec.containers
    const moved = 'may not be renamed or reordered on resize'
    for (const [change, wanted] of [
      [{ initContainers: spec.initContainers.toReversed() }, [0, 1].map((i) => `spec.initContainers[${i}].name: Forbidden: initContainers ${moved}`)],
      [{ containers: [{ ...web, name: 'other' }] }, [`spec.containers[0].name: Forbidden: containers ${moved}`]],
      [{ containers: [web, { ...web, name: 'second' }] }, ['spec.containers: Forbidden: containers may not be added or removed on resize']],
      [{ initContainers: [] }, ['spec.initContainers: Forbidden: initContainers may not be added or removed on resize']],
    ] as const) assert.deepStrictEqual(causes(await call('PUT', `${PATH}/resize`, { ...pod, spec: { ...spec, ...change } })), wanted, JSON.stringify(change))
    const answer = await call('PATCH', `${PATH}/resize`, { spec: { '$setElementOrder/initContainers': [{ name: 'init' }, { name: 'side' }] } }, MERGE)
    assert.deepStrictEqual(causes(answer), [0, 1].map((i) => `spec.initContainers[${i}].name: Forbidden: initContainers ${moved}`))
  })

  test('an init container that runs once may be resized, too', async () => {
    const { patch } = await withPod()
    const answer = await patch('resize', { initContainers: [{ name: 'init', resources: { requests: { cpu: '20m' } } }] })
    assert.deepStrictEqual([answer.status, containersOf(answer, 'initContainers').find((c) => c['name'] === 'init')?.['resources']], [200, { requests: { cpu: '20m' } }])
  })

  test('the QoS class stays what it is', async () => {
    const { patch } = await withPod({ containers: [{ name: 'web', image: 'web' }], initContainers: [] })
    assert.deepStrictEqual(causes(await patch('resize', resize({ requests: { cpu: '1' } }))), ['spec: Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing'])
  })
})
