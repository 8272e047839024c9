import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { PODS, SECRETS, type Pod, type Stored } from '#api/types/index.ts'
import { leanOf, leanPod } from './lean-pod.ts'

test('a pod is kept without what only its kubelet reads', () => {
  const reference = { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }
  const kept = {
    name: 'a', image: 'i', ports: [{ containerPort: 80, name: 'http' }], resources: { requests: { cpu: '1' } }, env: [reference], envFrom: [{ configMapRef: { name: 'm' } }],
  }
  const probe = { httpGet: { path: '/', port: 80 } }
  const pod = {
    apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', labels: { a: 'b' }, managedFields: [{ manager: 'm' }] },
    spec: {
      nodeName: 'x', volumes: [{ name: 'v', secret: { secretName: 's' } }],
      containers: [{ ...kept, command: ['c'], args: ['d'], env: [{ name: 'A', value: 'b' }, reference], livenessProbe: probe, readinessProbe: probe, startupProbe: probe, lifecycle: { preStop: { sleep: { seconds: 1 } } }, workingDir: '/', volumeMounts: [{ name: 'v', mountPath: '/v' }], volumeDevices: [{ name: 'd', devicePath: '/d' }], imagePullPolicy: 'Always', terminationMessagePath: '/t', terminationMessagePolicy: 'File' }, { name: 'plain', env: [{ name: 'A', value: 'b' }] }],
      initContainers: [{ name: 'i', restartPolicy: 'Always', args: ['d'] }],
    },
    status: { phase: 'Running' },
  } as unknown as Stored<Pod>
  deepStrictEqual(leanPod(pod) as unknown, {
    apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', labels: { a: 'b' } },
    spec: { nodeName: 'x', volumes: [{ name: 'v', secret: { secretName: 's' } }], containers: [kept, { name: 'plain' }], initContainers: [{ name: 'i', restartPolicy: 'Always' }] },
    status: { phase: 'Running' },
  })
})

test('only pods are thinned', () => {
  deepStrictEqual([leanOf(SECRETS), typeof leanOf(PODS)], [undefined, 'function'])
})
