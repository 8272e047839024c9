/** What network.test.ts and nodes.test.ts share: the echo application on every host, and roads tried from pods, hosts and the switch. */
import { strictEqual } from 'node:assert/strict'
import { join } from 'node:path'
import type { Cluster } from '../lab/cluster.ts'
import { LabHost } from '../lab/host.ts'
import type { Outcome, Road } from './net-peer.ts'

const PEER = join(import.meta.dirname, 'net-peer.ts')
/** Pods run net-peer.ts with this machine's Node, which they find below /host. */
export const peerCommand = (...args: string[]): string[] => [process.execPath, PEER, ...args]
const PEER_IN_POD = (...args: string[]): string[] => ['busybox', 'chroot', '/host', ...peerCommand(...args)]

/** Port 8080 answers HTTP with the pod's name, 9000 echoes UDP and posted bodies and tells whom it saw. */
export function echoManifest(options: { name?: string; replicas?: number; pod?: object; version?: string; preStopSeconds?: number } = {}): object {
  const { name = 'echo', replicas = 6, pod = {}, version = '1', preStopSeconds } = options
  return {
    apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name },
    spec: {
      replicas, selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name, version } },
        spec: {
          terminationGracePeriodSeconds: preStopSeconds === undefined ? 1 : preStopSeconds + 1,
          topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: name } } }],
          containers: [
            {
              name: 'web', image: 'busybox:1', command: ['sh', '-c', 'mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www'], ports: [{ name: 'http', containerPort: 8080 }],
              readinessProbe: { exec: { command: ['sh', '-c', 'test -e /www/index.html -a ! -e /tmp/unready'] }, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 1 },
              ...(preStopSeconds !== undefined && { lifecycle: { preStop: { sleep: { seconds: preStopSeconds } } } }),
            },
            { name: 'peer', image: 'busybox:1', command: PEER_IN_POD('serve', '9000'), volumeMounts: [{ name: 'host', mountPath: '/host' }], readinessProbe: { tcpSocket: { port: 9000 }, periodSeconds: 1, timeoutSeconds: 10 } },
          ],
          volumes: [{ name: 'host', hostPath: { path: '/' } }],
          ...pod,
        },
      },
    },
  }
}

export function service(name: string, spec: object, app = 'echo'): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector: { app }, ports: [{ name: 'http', port: 80, targetPort: 8080 }, { name: 'echo', port: 9000, targetPort: 9000, protocol: 'UDP' }], ...spec } }
}

export async function apply(cluster: Cluster, ...objects: object[]): Promise<void> {
  await cluster.must(['apply', '-f', '-'], { input: objects.map((o) => JSON.stringify(o)).join('\n') })
}

export interface PodPlace { name: string; node: string; ip: string; isReady: boolean; containerIds: string[]; restarts: number; phase: string; uid: string }

interface RawPod {
  metadata: { name: string; uid: string; deletionTimestamp?: string }
  spec: { nodeName?: string }
  status: { phase: string; podIP?: string; conditions?: { type: string; status: string }[]; containerStatuses?: { containerID?: string; restartCount: number }[] }
}

/** Pods that are not on their way out, by node, then name. */
export async function podsOf(cluster: Cluster, app: string): Promise<PodPlace[]> {
  const { items } = JSON.parse(await cluster.must(['get', 'pods', '-l', `app=${app}`, '-o', 'json'])) as { items: RawPod[] }
  return items.filter((p) => p.metadata.deletionTimestamp === undefined).map(({ metadata, spec, status }) => ({
    name: metadata.name, uid: metadata.uid, node: spec.nodeName ?? '', ip: status.podIP ?? '', phase: status.phase,
    isReady: status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false,
    containerIds: (status.containerStatuses ?? []).map((c) => c.containerID ?? ''),
    restarts: (status.containerStatuses ?? []).reduce((sum, c) => sum + c.restartCount, 0),
  })).toSorted((a, b) => a.node.localeCompare(b.node) || a.name.localeCompare(b.name))
}

/** Tries roads, all from one place: a pod of echoManifest, or a host itself. */
export async function ask(cluster: Cluster, from: PodPlace | LabHost, roads: readonly Road[], atOnce = 8): Promise<Outcome[]> {
  const input = JSON.stringify(roads)
  const text = from instanceof LabHost
    ? await from.must(peerCommand('ask', String(atOnce)), { input })
    : await cluster.must(['exec', '-i', from.name, '-c', 'peer', '--', ...PEER_IN_POD('ask', String(atOnce))], { input })
  const outcomes = JSON.parse(text) as Outcome[]
  strictEqual(outcomes.length, roads.length)
  return outcomes
}

/** What the roads gave; a failure as `failed: why`. */
export async function gotten(cluster: Cluster, from: PodPlace | LabHost, roads: readonly Road[]): Promise<string[]> {
  return (await ask(cluster, from, roads)).map((o) => o.got ?? `failed: ${o.failed ?? ''}`)
}

export function hostNamed(cluster: Cluster, name: string): LabHost {
  const host = cluster.lab.hosts.find((h) => h.name === name)
  if (!host) throw new Error(`no host ${name}`)
  return host
}
