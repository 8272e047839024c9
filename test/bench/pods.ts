/** Pods from create to Ready with the image on the node, a Deployment of twenty, and from deletion to gone. */
import { Cluster } from '../lab/cluster.ts'
import { podManifest, runPods, waitForNamespace } from './cluster-figures.ts'
import { percentile, type Measurement } from './figure.ts'
import { askInside } from './inside.ts'
import type { PodTimes } from './inside/pod-times.ts'
import { UPSTREAM } from './upstream.ts'

export const pods: Measurement = {
  name: 'pods',
  about: 'pod create to Ready, 20-pod Deployment to Ready, deletion to gone',
  async run({ quick }) {
    const cluster = await Cluster.create({ hosts: 1 })
    try {
      await waitForNamespace(cluster)
      await runPods(cluster, ['warm-up'])
      const times = await askInside<PodTimes>(cluster.server, 'pod-times', { kubeconfig: cluster.server.kubeconfig, count: quick ? 5 : 20, replicas: 20, pod: podManifest('') })
      return [
        { name: 'pod create to Ready: p50', value: percentile(times.readyMs, 0.5), unit: 'ms', better: 'lower', budget: 250, upstream: UPSTREAM.podReadyP50Ms },
        { name: 'pod create to Ready: p99', value: percentile(times.readyMs, 0.99), unit: 'ms', better: 'lower' },
        { name: 'pod delete to gone: p50', value: percentile(times.goneMs, 0.5), unit: 'ms', better: 'lower', budget: 500, upstream: UPSTREAM.podGoneMs, note: 'its process exits at once' },
        { name: 'Deployment of 20, all Ready', value: times.deploymentMs / 1000, unit: 's', better: 'lower', budget: 4, upstream: UPSTREAM.deploymentReadySeconds },
      ]
    } finally {
      await cluster.destroy()
    }
  },
}
