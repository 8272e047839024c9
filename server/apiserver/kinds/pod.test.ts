import { deepStrictEqual, match } from 'node:assert'
import { test } from 'node:test'
import type { Pod } from '#api/types/index.ts'
import { podColumns } from './pod-columns.ts'
import { podStrategy } from './pod.ts'
import { causes, cluster, pod, PODS } from './kinds.test-support.ts'

const stored = (json: unknown): Record<string, unknown> => {
  const { metadata, ...rest } = json as Record<string, unknown>
  const { uid: _u, resourceVersion: _r, creationTimestamp: _c, managedFields: _m, ...meta } = metadata as Record<string, unknown>
  return { metadata: meta, ...rest }
}

test('a pod gets every default that upstream gives it', async () => {
  const c = cluster()
  const { json } = await c.create(PODS, pod({}, { serviceAccountName: 'sa', volumes: [{ name: 's', secret: { secretName: 's' } }, { name: 'e' }, { name: 'h', hostPath: { path: '/x' } }, { name: 'p', projected: { sources: [{ serviceAccountToken: { path: 't' } }, { downwardAPI: { items: [{ path: 'n', fieldRef: { fieldPath: 'metadata.name' } }] } }] } }] }, {
    ports: [{ containerPort: 80 }], resources: { limits: { cpu: '0.5', memory: '1024Mi' } }, readinessProbe: { httpGet: { port: 80 } }, env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }, { name: 'B', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }],
  }))
  deepStrictEqual(stored(json), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', generation: 1 },
    spec: {
      containers: [{
        name: 'c', image: 'busybox:1.36', imagePullPolicy: 'IfNotPresent', terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File',
        ports: [{ containerPort: 80, protocol: 'TCP' }],
        resources: { limits: { cpu: '500m', memory: '1Gi' }, requests: { cpu: '500m', memory: '1Gi' } },
        readinessProbe: { httpGet: { path: '/', port: 80, scheme: 'HTTP' }, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 },
        env: [{ name: 'A', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } }, { name: 'B', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '0' } } }],
      }],
      volumes: [
        { name: 's', secret: { secretName: 's', defaultMode: 420 } }, { name: 'e', emptyDir: {} }, { name: 'h', hostPath: { path: '/x', type: '' } },
        { name: 'p', projected: { defaultMode: 420, sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 3600 } }, { downwardAPI: { items: [{ path: 'n', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } }] } }] } },
      ],
      dnsPolicy: 'ClusterFirst', restartPolicy: 'Always', schedulerName: 'default-scheduler', securityContext: {}, terminationGracePeriodSeconds: 30, enableServiceLinks: true, serviceAccount: 'sa', serviceAccountName: 'sa',
    },
    status: { phase: 'Pending', qosClass: 'Guaranteed' },
  })
})

test('the pull policy follows the tag', async () => {
  const images = ['a', 'a:latest', 'a:1', 'r:5000/a', 'r:5000/a:1', 'a@sha256:0000', 'a:latest@sha256:0000']
  const policies = images.map((image) => {
    const p: Pod = { spec: { containers: [{ name: 'c', image }] } }
    podStrategy.defaults?.(p)
    return p.spec?.containers[0]?.imagePullPolicy
  })
  deepStrictEqual(policies, ['Always', 'Always', 'IfNotPresent', 'Always', 'IfNotPresent', 'IfNotPresent', 'Always'])
})

test('defaults leave a defaulted pod as it is', () => {
  const p = pod({}, {}, { livenessProbe: { exec: { command: ['x'] } } }) as Pod
  podStrategy.defaults?.(p)
  const once = structuredClone(p)
  podStrategy.defaults?.(p)
  deepStrictEqual(p, once)
})

test('bad pods are refused with upstream\'s fields and words', async () => {
  const c = cluster()
  const table: [Record<string, unknown>, string[]][] = [
    [pod({}, { containers: [] }), ['spec.containers: Required value']],
    [pod({}, {}, { name: 'A_b' }), ["spec.containers[0].name: Invalid value: \"A_b\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]],
    [pod({}, {}, { image: '' }), ['spec.containers[0].image: Required value']],
    [pod({}, {}, { imagePullPolicy: 'Sometimes' }), ['spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"']],
    [pod({}, {}, { volumeMounts: [{ name: 'gone', mountPath: '/x' }] }), ['spec.containers[0].volumeMounts[0].name: Not found: "gone"']],
    [pod({}, {}, { resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }), ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1']],
    [pod({}, {}, { ports: [{ containerPort: 70000 }] }), ['spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive']],
    [pod({}, {}, { livenessProbe: {} }), ['spec.containers[0].livenessProbe: Required value: must specify a handler type']],
    [pod({}, {}, { livenessProbe: { exec: { command: ['a'] }, successThreshold: 2 } }), ['spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1']],
    [pod({}, {}, { env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] }), ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty']],
    [pod({}, { restartPolicy: 'Maybe' }), ['spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"']],
    [pod({}, { tolerations: [{ key: '', operator: 'Equal' }] }), ['spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"']],
    [pod({}, { initContainers: [{ name: 'i', image: 'b', readinessProbe: { exec: { command: ['x'] } } }] }), ['spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always']],
    [pod({}, { volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/' } }] }), ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type']],
    [pod({}, { dnsPolicy: 'None' }), ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None']],
    [pod({ labels: { 'a b': 'c' } }), ["metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"]],
  ]
  const got: string[][] = []
  for (const [body] of table) got.push(causes(await c.call('POST', PODS, body)))
  deepStrictEqual(got, table.map(([, wanted]) => wanted))
})

test('of a pod that exists only images, deadline, added tolerations and removed gates may change', async () => {
  const c = cluster()
  await c.create(PODS, pod({}, { tolerations: [{ key: 'a', operator: 'Exists' }] }))
  const patch = async (spec: unknown) => causes(await c.call('PATCH', `${PODS}/p`, { spec }, { 'content-type': 'application/merge-patch+json' }))
  const isFine = (answer: string[]) => answer[0]?.startsWith('200')
  deepStrictEqual([
    isFine(await patch({ containers: [{ name: 'c', image: 'busybox:2' }] })),
    isFine(await patch({ activeDeadlineSeconds: 10 })),
    isFine(await patch({ tolerations: [{ key: 'a', operator: 'Exists' }, { key: 'b', operator: 'Exists' }] })),
  ], [true, true, true])
  match((await patch({ nodeName: 'n' }))[0] ?? '', /^spec: Forbidden: pod updates may not change fields other than `spec\.containers\[\*\]\.image`,/)
  deepStrictEqual(await patch({ activeDeadlineSeconds: 20 }), ['spec.activeDeadlineSeconds: Invalid value: 20: must be less than or equal to previous value'])
  deepStrictEqual(await patch({ tolerations: [] }), ['spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds'])
  deepStrictEqual(await patch({ containers: [] }), ['spec.containers: Required value', 'spec.containers: Forbidden: pod updates may not add or remove containers'])
  const strategic = await c.call('PATCH', `${PODS}/p`, { spec: { containers: [{ name: 'c', image: 'busybox:3' }] } }, { 'content-type': 'application/strategic-merge-patch+json' })
  deepStrictEqual([strategic.status, strategic.json['metadata']?.['generation']], [200, 5])
})

test('status is not for creators and not for updates of the pod', async () => {
  const c = cluster()
  const made = await c.create(PODS, { ...pod(), status: { phase: 'Running', podIP: '1.2.3.4' } })
  deepStrictEqual(made.json['status'], { phase: 'Pending', qosClass: 'BestEffort' })
  const put = await c.call('PUT', `${PODS}/p`, { ...made.json, status: { phase: 'Failed' } })
  deepStrictEqual(put.json['status'], { phase: 'Pending', qosClass: 'BestEffort' })
  const status = await c.call('PATCH', `${PODS}/p/status`, { metadata: { labels: { a: 'b' } }, spec: { nodeName: 'x' }, status: { phase: 'Running', podIP: '1.2.3.4' } }, { 'content-type': 'application/merge-patch+json' })
  deepStrictEqual([status.json['status'], status.json['spec']?.['nodeName'], status.json['metadata']?.['generation']], [{ phase: 'Running', podIP: '1.2.3.4', podIPs: [{ ip: '1.2.3.4' }], qosClass: 'BestEffort' }, undefined, 1])
})

test('deletion waits only for pods that run somewhere', () => {
  const grace = (p: Pod, requested?: number) => podStrategy.graceSecondsOnDelete?.(p, requested)
  const spec = { containers: [], nodeName: 'n', terminationGracePeriodSeconds: 30 }
  deepStrictEqual([
    grace({ spec }), grace({ spec }, 5), grace({ spec }, 0), grace({ spec: { ...spec, nodeName: '' } }, 5), grace({ spec, status: { phase: 'Failed' } }, 5), grace({ spec: { ...spec, terminationGracePeriodSeconds: -1 } }),
  ], [30, 5, 0, 0, 0, 1])
})

test('the state of a pod in one word, as printPod finds it', () => {
  const now = Date.UTC(2026, 0, 1, 0, 10)
  const running = { running: { startedAt: '2026-01-01T00:00:00Z' } }
  const cs = (over: object) => ({ name: 'c', image: '', imageID: '', ready: false, restartCount: 0, ...over })
  const spec = { containers: [{ name: 'c' }] }
  const table: [Pod, [string, string, string]][] = [
    [{ spec, status: { phase: 'Pending' } }, ['0/1', 'Pending', '0']],
    [{ spec, status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] } }, ['0/1', 'SchedulingGated', '0']],
    [{ spec, status: { phase: 'Running', containerStatuses: [cs({ ready: true, state: running })] } }, ['1/1', 'Running', '0']],
    [{ spec, status: { phase: 'Running', containerStatuses: [cs({ restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:05:00Z' } } })] } }, ['0/1', 'CrashLoopBackOff', '3 (5m ago)']],
    [{ spec, status: { phase: 'Succeeded', containerStatuses: [cs({ state: { terminated: { exitCode: 0, reason: 'Completed' } } })] } }, ['0/1', 'Completed', '0']],
    [{ spec, status: { phase: 'Failed', containerStatuses: [cs({ state: { terminated: { exitCode: 3 } } })] } }, ['0/1', 'ExitCode:3', '0']],
    [{ spec, status: { phase: 'Failed', containerStatuses: [cs({ state: { terminated: { exitCode: 137, signal: 9 } } })] } }, ['0/1', 'Signal:9', '0']],
    [{ spec: { containers: [{ name: 'c' }, { name: 'd' }] }, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }], containerStatuses: [cs({ state: { terminated: { exitCode: 0, reason: 'Completed' } } }), cs({ name: 'd', ready: true, state: running })] } }, ['1/2', 'NotReady', '0']],
    [{ metadata: { deletionTimestamp: 'x' }, spec, status: { phase: 'Running', containerStatuses: [cs({ ready: true, state: running })] } }, ['1/1', 'Terminating', '0']],
    [{ metadata: { deletionTimestamp: 'x' }, spec, status: { phase: 'Running', reason: 'NodeLost' } }, ['0/1', 'Unknown', '0']],
    [{ spec, status: { phase: 'Failed', reason: 'Evicted' } }, ['0/1', 'Evicted', '0']],
    [{ spec: { ...spec, initContainers: [{ name: 'i' }, { name: 'j' }] }, status: { phase: 'Pending', initContainerStatuses: [cs({ name: 'i', state: { terminated: { exitCode: 0 } } }), cs({ name: 'j', state: running })] } }, ['0/1', 'Init:1/2', '0']],
    [{ spec: { ...spec, initContainers: [{ name: 'i' }] }, status: { phase: 'Pending', initContainerStatuses: [cs({ name: 'i', restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } } })] } }, ['0/1', 'Init:CrashLoopBackOff', '2']],
    [{ spec: { ...spec, initContainers: [{ name: 'i' }] }, status: { phase: 'Pending', initContainerStatuses: [cs({ name: 'i', state: { terminated: { exitCode: 1, reason: 'Error' } } })] } }, ['0/1', 'Init:Error', '0']],
    [{ spec: { ...spec, initContainers: [{ name: 'i', restartPolicy: 'Always' }] }, status: { phase: 'Running', initContainerStatuses: [cs({ name: 'i', started: true, ready: true, restartCount: 1, state: running })], containerStatuses: [cs({ ready: true, state: running })] } }, ['2/2', 'Running', '1']],
  ]
  const cells = (p: Pod) => ['Ready', 'Status', 'Restarts'].map((name) => podColumns.find((c) => c.name === name)?.value(p, now))
  deepStrictEqual(table.map(([p]) => cells(p)), table.map(([, wanted]) => wanted))
})

test('pods are listed by the fields upstream knows', async () => {
  const c = cluster()
  await c.create(PODS, pod())
  const found = async (selector: string) => ((await c.call('GET', `${PODS}?fieldSelector=${selector}`)).json['items'] as unknown as unknown[] | undefined)?.length
  deepStrictEqual([await found('status.phase=Pending'), await found('spec.nodeName='), await found('spec.hostNetwork=false'), await found('spec.restartPolicy!=Always'), await found('spec.bogus=1')], [1, 1, 1, 0, undefined])
})
