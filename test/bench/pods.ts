/** Pods from create to Ready with the image on the node, a Deployment of twenty, and from deletion to gone; on request also with Debian's containerd driven by the same agent. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { CONTAINERD_MISSING, findContainerd, startContainerd, type TestContainerd } from '../images/containerd.ts'
import { Cluster } from '../lab/cluster.ts'
import { REGISTRY_PORT, SWITCH_IP } from '../lab/lab.ts'
import { podManifest, runPods, skiffPids, waitForNamespace } from './cluster-figures.ts'
import { percentile, type Figure, type Measurement } from './figure.ts'
import { askInside } from './inside.ts'
import type { PodTimes } from './inside/pod-times.ts'
import { usageOf } from './process-usage.ts'
import { UPSTREAM } from './upstream.ts'

export const pods: Measurement = {
  name: 'pods',
  about: 'pod create to Ready, 20-pod Deployment to Ready, deletion to gone',
  async run({ quick, containerd }) {
    const embedded = await podTimes(quick)
    const figures: Figure[] = [
      { name: 'pod create to Ready: p50', value: percentile(embedded.readyMs, 0.5), unit: 'ms', better: 'lower', budget: 250, upstream: UPSTREAM.podReadyP50Ms },
      { name: 'pod create to Ready: p99', value: percentile(embedded.readyMs, 0.99), unit: 'ms', better: 'lower' },
      { name: 'pod delete to gone: p50', value: percentile(embedded.goneMs, 0.5), unit: 'ms', better: 'lower', budget: 500, upstream: UPSTREAM.podGoneMs, note: 'its process exits at once' },
      { name: 'CPU of skiff for a pod created, run, watched and deleted', value: embedded.cpuMs, unit: 'ms', better: 'lower', note: 'server, agent, and the programs they run; without conmon' },
      { name: 'Deployment of 20, all Ready', value: embedded.deploymentMs / 1000, unit: 's', better: 'lower', budget: 4, upstream: UPSTREAM.deploymentReadySeconds },
    ]
    if (!containerd) return figures
    if (await findContainerd() === undefined) throw new Error(CONTAINERD_MISSING)
    const external = await podTimes(quick, true)
    return [
      ...figures,
      { name: 'the same on containerd: create to Ready: p50', value: percentile(external.readyMs, 0.5), unit: 'ms', better: 'lower' },
      { name: 'the same on containerd: delete to gone: p50', value: percentile(external.goneMs, 0.5), unit: 'ms', better: 'lower' },
      { name: 'the same on containerd: Deployment of 20', value: external.deploymentMs / 1000, unit: 's', better: 'lower' },
    ]
  },
}

const REPLICAS = 20

/** `cpuMs`: for each pod, whatever else the machine does. */
async function podTimes(quick: boolean, onContainerd = false): Promise<PodTimes & { cpuMs: number }> {
  let containerd: TestContainerd | undefined
  const cluster = await Cluster.create({
    hosts: 1,
    ...(onContainerd && {
      async prepare(host) {
        containerd = await startContainerd({
          dir: join(host.dir, 'containerd'), sandboxImage: 'docker.io/library/pause:1', prefix: host.wrap([]), mirrors: { 'docker.io': `http://${SWITCH_IP}:${REGISTRY_PORT}` },
        })
        return ['--container-runtime-endpoint', containerd.socket]
      },
    }),
  })
  try {
    await waitForNamespace(cluster)
    await runPods(cluster, ['warm-up'])
    const count = quick ? 5 : 20
    const pids = skiffPids(cluster.server)
    const before = usageOf(pids).cpuSeconds
    const times = await askInside<PodTimes>(cluster.server, 'pod-times', { kubeconfig: cluster.server.kubeconfig, count, replicas: REPLICAS, pod: podManifest('') })
    return { ...times, cpuMs: ((usageOf(pids).cpuSeconds - before) * 1000) / (count + REPLICAS) }
  } finally {
    await cluster.destroy({ keepFiles: onContainerd })
    await containerd?.stop()
    rmSync(cluster.lab.dir, { recursive: true, force: true })
  }
}
