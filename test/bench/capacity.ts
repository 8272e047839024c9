/** What a server holds, without an agent: 10,000 pods, 1,000 watches; custom resources under a schema with a rule. */
import { Cluster } from '../lab/cluster.ts'
import { rate } from './api-load.ts'
import { skiffPids, waitForNamespace } from './cluster-figures.ts'
import type { Measurement } from './figure.ts'
import { askInside } from './inside.ts'
import type { Capacity } from './inside/capacity.ts'

export const capacity: Measurement = {
  name: 'capacity',
  about: 'memory with 10,000 pods stored and of 1,000 idle watches; create and get of custom resources at 32 in flight',
  async run({ quick }) {
    const cluster = await Cluster.create({ hosts: 1, serverFlags: ['--disable-agent'], waitForNodes: false })
    try {
      const host = cluster.server
      await waitForNamespace(cluster)
      const { customCreate, customGet, rssBeforeMB, rssWithWatchesMB, rssWithPodsMB } = await askInside<Capacity>(host, 'capacity', {
        kubeconfig: host.kubeconfig, pids: skiffPids(host), customs: quick ? 500 : 2_000, watches: 1_000, pods: 10_000,
      })
      return [
        rate('API: create custom resource at 32', customCreate, undefined, undefined),
        rate('API: get custom resource at 32', customGet, undefined, undefined),
        { name: 'API: 1,000 idle watches', value: rssWithWatchesMB - rssBeforeMB, unit: 'MB', better: 'lower', budget: 30 },
        { name: 'API: RSS with 10,000 pods and 1,000 watches', value: rssWithPodsMB, unit: 'MB', better: 'lower', budget: 280, note: 'right after the last create' },
      ]
    } finally {
      await cluster.destroy()
    }
  },
}
