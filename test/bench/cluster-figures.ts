/** What several measurements need of a cluster in the lab: its processes by role, and pods that wait. */
import type { Cluster } from '../lab/cluster.ts'
import { until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

/** skiff's own processes on a host, helpers included; neither conmon nor what runs in pods. */
export function skiffPids(host: LabHost): number[] {
  return host.processes().filter((p) => / (server|agent|unpack-layer)( |$)/.test(p.command) && !p.command.startsWith('nsenter')).map((p) => p.pid)
}

export function conmonPids(host: LabHost): number[] {
  return host.processes().filter((p) => /(^|\/)conmon /.test(p.command)).map((p) => p.pid)
}

/** A pod that runs one process until it is told to stop, and stops at once. */
export const PAUSE_COMMAND = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done']

export function podManifest(name: string, labels: Record<string, string> = { app: 'bench' }): object {
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { name, labels },
    spec: { terminationGracePeriodSeconds: 5, containers: [{ name: 'main', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', command: PAUSE_COMMAND }] },
  }
}

/** Creates pods and waits until all are Ready. */
export async function runPods(cluster: Cluster, names: readonly string[]): Promise<void> {
  await cluster.must(['create', '-f', '-'], { input: names.map((n) => JSON.stringify(podManifest(n))).join('\n') })
  await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', ...names.map((n) => `pod/${n}`)])
}

/** The default service account is there: pods can be made. */
export async function waitForNamespace(cluster: Cluster): Promise<void> {
  await until('the default service account exists', 20_000, async () => (await cluster.kubectl(['get', 'serviceaccount', 'default'])).code === 0)
}
