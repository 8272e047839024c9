/** Pods of all sorts, so that a soak leaves nothing out that a node has to clean up after. */

export type PodKind = 'plain' | 'volumes' | 'probed' | 'crashing' | 'finishing' | 'init' | 'stubborn' | 'host-network' | 'no-image' | 'host-port'

const LOOP = ['sh', '-c', 'trap "exit 0" TERM; echo hello; while :; do sleep 3600 & wait $!; done']

/** What is wanted of each in the end; `undefined`: only that it can be deleted. */
const WANTED: Readonly<Record<PodKind, 'Ready' | 'Succeeded' | undefined>> = {
  plain: 'Ready', volumes: 'Ready', probed: 'Ready', crashing: undefined, finishing: 'Succeeded', init: 'Ready', stubborn: 'Ready', 'host-network': 'Ready', 'no-image': undefined, 'host-port': 'Ready',
}
export const POD_KINDS = Object.keys(WANTED) as PodKind[]
export const wantedOf = (kind: PodKind): 'Ready' | 'Succeeded' | undefined => WANTED[kind]

export function podOf(kind: PodKind, name: string, node: string, number: number): object {
  const container = { name: 'main', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', command: LOOP }
  const spec: Record<string, unknown> = { nodeName: node, terminationGracePeriodSeconds: 1, containers: [container], ...specOf(kind, container, number) }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: 'soak', kind } }, spec }
}

function specOf(kind: PodKind, container: object, number: number): Record<string, unknown> {
  switch (kind) {
    case 'plain': return {}
    case 'volumes': return {
      containers: [{
        ...container,
        volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }, { name: 'memory', mountPath: '/memory' }, { name: 'settings', mountPath: '/settings' }, { name: 'one', mountPath: '/one', subPath: 'below' }],
      }],
      volumes: [{ name: 'scratch', emptyDir: {} }, { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }, { name: 'settings', configMap: { name: 'soak' } }, { name: 'one', emptyDir: {} }],
    }
    case 'probed': return { containers: [{ ...container, readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 }, livenessProbe: { exec: { command: ['true'] }, periodSeconds: 1 } }] }
    case 'crashing': return { containers: [{ ...container, command: ['sh', '-c', 'echo down; exit 3'] }] }
    case 'finishing': return { restartPolicy: 'Never', containers: [{ ...container, command: ['sh', '-c', 'echo done'] }] }
    case 'init': return { initContainers: [{ ...container, name: 'first', command: ['sh', '-c', 'echo first'] }, { ...container, name: 'beside', restartPolicy: 'Always' }] }
    case 'stubborn': return { containers: [{ ...container, command: ['sh', '-c', 'trap "" TERM; while :; do sleep 3600; done'] }] }
    case 'host-network': return { hostNetwork: true }
    case 'no-image': return { containers: [{ ...container, image: 'no-such-image:1' }] }
    case 'host-port': return { containers: [{ ...container, ports: [{ containerPort: 80, hostPort: 20_000 + number }] }] }
  }
}
