import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, Stored } from '#api/types/index.ts'
import { decideStatic, type StaticView } from './decide.ts'
import { isMirrorOf, mirrorOf, staticPod } from './manifest.ts'

const NOW = Date.UTC(2026, 0, 1)
const document = (more: object = {}, spec: object = {}) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'busybox:1' }], ...spec }, ...more })
const read = (given: unknown, fileName = 'web.yaml') => staticPod({ document: given, fileName, nodeName: 'n1', nowMs: NOW })

test('a manifest becomes a pod named after the node, which nothing evicts by a taint, with an identity made of what it says', () => {
  const { metadata, spec } = read(document({}, { hostNetwork: true, containers: [{ name: 'c', image: 'busybox:1', ports: [{ containerPort: 80 }], resources: { limits: { cpu: '1' } } }] }))
  assert.deepStrictEqual({ ...metadata, uid: '', annotations: { ...metadata.annotations, 'kubernetes.io/config.hash': '' } }, {
    name: 'web-n1', namespace: 'default', labels: { app: 'web' }, uid: '', resourceVersion: '', creationTimestamp: '2026-01-01T00:00:00Z',
    annotations: { 'kubernetes.io/config.hash': '', 'kubernetes.io/config.seen': '2026-01-01T00:00:00Z', 'kubernetes.io/config.source': 'file' },
  })
  assert.deepStrictEqual(spec, {
    nodeName: 'n1', hostNetwork: true, tolerations: [{ operator: 'Exists', effect: 'NoExecute' }], restartPolicy: 'Always', dnsPolicy: 'ClusterFirst', terminationGracePeriodSeconds: 30, enableServiceLinks: true,
    containers: [{ name: 'c', image: 'busybox:1', ports: [{ containerPort: 80, protocol: 'TCP', hostPort: 80 }], resources: { limits: { cpu: '1' }, requests: { cpu: '1' } } }],
  })
  const uid = read(document()).metadata.uid
  assert.match(uid, /^[0-9a-f]{32}$/)
  assert.deepStrictEqual([read(document()).metadata.uid === uid, read(document(), 'other.yaml').metadata.uid === uid, read(document({}, { restartPolicy: 'Never' })).metadata.uid === uid], [true, false, false])
})

const refused: [string, unknown, RegExp][] = [
  ['no object', 'text', /it is not a Pod/], ['another kind', { apiVersion: 'apps/v1', kind: 'Deployment' }, /a v1 Pod is needed/], ['no name', document({ metadata: {} }), /metadata\.name "" does not make/], ['a name of the wrong kind', document({ metadata: { name: 'a/../b' } }), /does not make a pod's name/],
  ['no containers', document({}, { containers: [] }), /at least one is needed/], ['no image', document({}, { containers: [{ name: 'c' }] }), /each needs a name and an image/],
  ['a Secret', document({}, { volumes: [{ name: 's', secret: { secretName: 'x' } }] }), /volume s of type secret/], ['a token', document({}, { volumes: [{ name: 't', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }] }), /volume t of type projected/],
  ['a service account', document({}, { serviceAccountName: 'x' }), /a service account/], ['an environment out of a ConfigMap', document({}, { containers: [{ name: 'c', image: 'i', env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'x', key: 'y' } } }] }] }), /environment from ConfigMaps or Secrets/],
]
for (const [name, given, says] of refused) test(`${name} is no static pod`, () => assert.throws(() => read(given), (error: Error & { code?: string }) => error.code === 'STATIC_POD_INVALID' && says.test(error.message)))

const pod = read(document())
const changed = read(document({}, { restartPolicy: 'Never' }))
const mirror = (of: Stored<Pod>, metadata: object = {}): Stored<Pod> => {
  const made = mirrorOf(of, { name: 'n1', uid: 'node-uid' })
  return { ...made, metadata: { resourceVersion: '5', creationTimestamp: '', ...made.metadata, name: of.metadata.name, uid: 'api-uid', ...metadata } } as Stored<Pod>
}

test('a mirror says whose picture it is and that the node owns it', () => {
  const made = mirrorOf(pod, { name: 'n1', uid: 'node-uid' })
  assert.deepStrictEqual([made.metadata?.name, made.metadata?.uid, made.metadata?.annotations?.['kubernetes.io/config.mirror'], made.metadata?.ownerReferences], ['web-n1', undefined, pod.metadata.uid, [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'node-uid', controller: true }]])
  assert.deepStrictEqual([isMirrorOf(made, pod), isMirrorOf(made, changed)], [true, false])
})

const known = (of: Stored<Pod>, ending = false) => ({ pod: of, ending })
const table: [string, Partial<StaticView>, unknown[]][] = [
  ['a new file starts its pod', { wanted: [pod] }, [{ kind: 'start', pod }]],
  ['also while the API is away', { wanted: [pod], isSynced: false }, [{ kind: 'start', pod }]],
  ['one that is known is shown in the API', { wanted: [pod], known: [known(pod)] }, [{ kind: 'createMirror', pod }]],
  ['but not before it is known what the API has', { wanted: [pod], known: [known(pod)], isSynced: false }, []],
  ['one that is shown is left alone', { wanted: [pod], known: [known(pod)], mirrors: [mirror(pod)] }, []],
  ['a file that is gone ends its pod; its mirror stays until it has ended', { known: [known(pod)], mirrors: [mirror(pod)] }, [{ kind: 'stop', uid: pod.metadata.uid }]],
  ['then the mirror goes', { mirrors: [mirror(pod)] }, [{ kind: 'deleteMirror', mirror: mirror(pod) }]],
  ['a changed file ends the pod of before first', { wanted: [changed], known: [known(pod)], mirrors: [mirror(pod)] }, [{ kind: 'stop', uid: pod.metadata.uid }]],
  ['and starts the new one when that has ended', { wanted: [changed], known: [known(pod, true)], mirrors: [mirror(pod)] }, []],
  ['whose mirror replaces the old', { wanted: [changed], known: [known(changed)], mirrors: [mirror(pod)] }, [{ kind: 'deleteMirror', mirror: mirror(pod) }]],
  ['a file that went and came again ends its pod, though it is the same', { wanted: [pod], replaced: new Set([pod.metadata.uid]), known: [known(pod)], mirrors: [mirror(pod)] }, [{ kind: 'stop', uid: pod.metadata.uid }]],
  ['which begins anew when it has ended; its mirror stays', { wanted: [pod], replaced: new Set([pod.metadata.uid]), mirrors: [mirror(pod)] }, [{ kind: 'start', pod }]],
  ['unless that tells of its end', { wanted: [pod], replaced: new Set([pod.metadata.uid]), mirrors: [{ ...mirror(pod), status: { phase: 'Succeeded' } }] }, [{ kind: 'start', pod }, { kind: 'deleteMirror', mirror: { ...mirror(pod), status: { phase: 'Succeeded' } } }]],
  ['a mirror that somebody deletes is let go, to be made again', { wanted: [pod], known: [known(pod)], mirrors: [mirror(pod, { deletionTimestamp: '2026-01-01T00:00:00Z' })] }, [{ kind: 'deleteMirror', mirror: mirror(pod, { deletionTimestamp: '2026-01-01T00:00:00Z' }) }]],
]
for (const [name, view, expected] of table) test(name, () => assert.deepStrictEqual(decideStatic({ wanted: [], replaced: new Set(), known: [], mirrors: [], isSynced: true, ...view }), expected))
