/** A cluster at rest with five pods: memory, CPU and bytes written of the server with its agent, and of an agent alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from '../lab/cluster.ts'
import { conmonPids, runPods, skiffPids, waitForNamespace } from './cluster-figures.ts'
import type { Measurement } from './figure.ts'
import { dropPageCache, memoryOf, usageOf } from './process-usage.ts'
import { UPSTREAM } from './upstream.ts'

const PODS = 5
/** Starting up is not idling: what it needed must have been given back (at most a look of the trimmer later). */
const SETTLE_MS = { quick: 40_000, full: 45_000 }
/** Lazy writes reach the disk every five minutes: the whole window holds one such write. */
const WINDOW_MS = { quick: 20_000, full: 300_000 }

export const idle: Measurement = {
  name: 'idle',
  about: 'memory, CPU and disk writes at rest with 5 pods; memory of a joined agent; overhead per container',
  async run({ quick, binary }) {
    const cluster = await Cluster.create({ hosts: 2 })
    try {
      const [server, agent] = cluster.lab.hosts
      if (!server || !agent) throw new Error('the lab has fewer than two hosts')
      await waitForNamespace(cluster)
      // All on the server's node, so that the agent is measured bare.
      await cluster.must(['cordon', agent.name])
      await runPods(cluster, Array.from({ length: PODS }, (_, i) => `idle-${i}`))
      const how = quick ? 'quick' : 'full'
      await sleep(SETTLE_MS[how])
      const before = usageOf(skiffPids(server))
      const startMs = performance.now()
      await sleep(WINDOW_MS[how])
      const seconds = (performance.now() - startMs) / 1000
      const after = usageOf(skiffPids(server))
      dropPageCache(binary)
      await sleep(1_000)
      const own = memoryOf(skiffPids(server))
      const joined = memoryOf(skiffPids(agent))
      const conmons = conmonPids(server)
      const cpu = ((after.cpuSeconds - before.cpuSeconds) / seconds) * 100
      const written = ((after.writtenBytes - before.writtenBytes) / 1e6) * (3600 / seconds)
      return [
        { name: 'server with agent, idle: RSS', value: own.rssMB, unit: 'MB', better: 'lower', budget: 140, upstream: UPSTREAM.clusterRssMB, note: 'aim 100' },
        { name: 'server with agent, idle: anonymous', value: own.anonMB, unit: 'MB', better: 'lower', budget: 60 },
        { name: 'agent, idle: RSS', value: joined.rssMB, unit: 'MB', better: 'lower', budget: 80, note: 'aim 60' },
        { name: 'agent, idle: anonymous', value: joined.anonMB, unit: 'MB', better: 'lower', budget: 30 },
        { name: 'per container: PSS', value: memoryOf(conmons).pssMB / conmons.length, unit: 'MB', better: 'lower', budget: 1, note: `${conmons.length} containers` },
        { name: 'idle CPU, server with agent', value: cpu, unit: '%', better: 'lower', budget: 1, upstream: UPSTREAM.idleCpuPercent, note: `over ${seconds.toFixed(0)} s` },
        { name: 'written to disk at rest', value: written, unit: 'MB/h', better: 'lower', budget: 1, upstream: UPSTREAM.idleWrittenMBPerHour },
      ]
    } finally {
      await cluster.destroy()
    }
  },
}
