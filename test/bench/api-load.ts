/** The API server under load, without an agent: operations, lists, watch fan-out. */
import { Cluster } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { skiffPids, waitForNamespace } from './cluster-figures.ts'
import type { Figure, Measurement } from './figure.ts'
import { askInside } from './inside.ts'
import type { Rate } from './inside/api.ts'
import type { Operations } from './inside/operations.ts'
import type { Lists } from './inside/lists.ts'
import type { FanOut } from './inside/fan-out.ts'
import { memoryOf, usageOf } from './process-usage.ts'
import { UPSTREAM } from './upstream.ts'

export const apiLoad: Measurement = {
  name: 'api',
  about: 'create, get, update, patch at 32 in flight; LIST of 2,000 pods; watch fan-out to 50',
  async run({ quick }) {
    // No agent: nodes have no part in these figures. The lab's host then has no node to wait for.
    const cluster = await Cluster.create({ hosts: 1, serverFlags: ['--disable-agent'], waitForNodes: false })
    try {
      const host = cluster.server
      await waitForNamespace(cluster)
      return await apiFigures({ host, kubeconfig: host.kubeconfig, pids: skiffPids(host), quick })
    } finally {
      await cluster.destroy()
    }
  },
}

/** Of the API server that the kubeconfig names; `pids` are those of its cluster, on this host. */
export async function apiFigures({ host, kubeconfig, pids, quick }: { host: LabHost; kubeconfig: string; pids: number[]; quick: boolean }): Promise<Figure[]> {
  const before = usageOf(pids)
  const operations = await askInside<Operations>(host, 'operations', { kubeconfig, pids, count: quick ? 500 : 2_000, inFlight: 32 })
  const lists = await askInside<Lists>(host, 'lists', { kubeconfig, pids, pods: 2_000, repeats: quick ? 10 : 40 })
  const fanOut = await askInside<FanOut>(host, 'fan-out', { kubeconfig, pids, watchers: 50, changes: quick ? 100 : 300 })
  const after = usageOf(pids)
  const { rssMB } = memoryOf(pids)
  return [
    rate('API: create ConfigMap at 32', operations.create, UPSTREAM.createPerSecond, 3),
    rate('API: create ConfigMap, one at a time', operations.createSerial, undefined, undefined),
    rate('API: create Pod at 32', operations.createPod, UPSTREAM.createPodPerSecond, undefined),
    rate('API: get Pod at 32', operations.get, UPSTREAM.getPerSecond, 4),
    rate('API: update ConfigMap at 32', operations.update, UPSTREAM.updatePerSecond, 3),
    rate('API: merge patch Pod at 32', operations.mergePatch, UPSTREAM.mergePatchPerSecond, undefined),
    rate('API: LIST 2,000 pods', lists.all, UPSTREAM.listsPerSecond, 10, `, ${(lists.bytes / 1e6).toFixed(1)} MB`),
    rate('API: LIST 2,000 pods, gzip', lists.gzipped, undefined, undefined),
    rate('API: LIST 2,000 pods, protobuf', lists.inProtobuf, undefined, undefined),
    ...(lists.watched ? [rate('API: WatchList of 2,000 pods', lists.watched, undefined, undefined)] : []),
    rate('API: LIST 10% by label', lists.byLabel, UPSTREAM.listsByLabelPerSecond, undefined),
    rate('API: watch events to 50 watchers', fanOut, UPSTREAM.fanOutEventsPerSecond, 5),
    { name: 'API load: CPU seconds of the server', value: after.cpuSeconds - before.cpuSeconds, unit: 's', better: 'lower' },
    { name: 'API load: RSS right after', value: rssMB, unit: 'MB', better: 'lower', budget: 200 },
  ]
}

export function rate(name: string, { perSecond, cpuMs }: Rate, upstream: number | undefined, timesUpstream: number | undefined, more = ''): Figure {
  return {
    name, value: perSecond, unit: '/s', better: 'higher', note: `${cpuMs.toPrecision(2)} ms CPU each${more}`,
    ...(upstream !== undefined && { upstream }), ...(upstream !== undefined && timesUpstream !== undefined && { budget: upstream * timesUpstream }),
  }
}
