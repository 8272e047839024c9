/** A node at work: what fifty pods and a hundred probes a second cost the agent, exec round trips, logs in quantity, restarts. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runtimePaths } from '#cri/runc/runtime-paths.ts'
import { Cluster } from '../lab/cluster.ts'
import { PAUSE_COMMAND, skiffPids, waitForNamespace } from './cluster-figures.ts'
import { percentile, type Measurement } from './figure.ts'
import { askInside } from './inside.ts'
import type { NodeTimes } from './inside/node-times.ts'
import { dropPageCache, memoryOf, usageOf } from './process-usage.ts'

/** As in idle.ts: what creating them took is given back. */
const SETTLE_MS = { quick: 5_000, full: 45_000 }
const WINDOW_MS = { quick: 10_000, full: 60_000 }
const LINES = 30_000

export const node: Measurement = {
  name: 'node',
  about: 'an agent with 50 pods and with 100 probes a second, exec round trips, 10,000 log lines a second, restarts',
  async run({ quick, binary }) {
    const cluster = await Cluster.create({ hosts: 2 })
    const how = quick ? 'quick' : 'full'
    const count = quick ? 10 : 50
    try {
      const agent = cluster.lab.hosts[1]
      if (!agent) throw new Error('the lab has fewer than two hosts')
      await waitForNamespace(cluster)
      const cpuPercent = async (): Promise<number> => {
        const before = usageOf(skiffPids(agent))
        const startMs = performance.now()
        await sleep(WINDOW_MS[how])
        return ((usageOf(skiffPids(agent)).cpuSeconds - before.cpuSeconds) / (performance.now() - startMs)) * 100_000
      }
      const run = async (what: string, container: object) => {
        const pods = Array.from({ length: count }, (_, i) => ({
          apiVersion: 'v1', kind: 'Pod', metadata: { name: `${what}-${i}`, labels: { what } },
          spec: { nodeName: agent.name, terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', ...container }] },
        }))
        await cluster.must(['create', '-f', '-'], { input: pods.map((pod) => JSON.stringify(pod)).join('\n') })
        await cluster.must(['wait', '--for=condition=Ready', '--timeout=120s', 'pod', '-l', `what=${what}`], { timeoutMs: 130_000 })
        await sleep(SETTLE_MS[how])
      }

      await run('still', { command: PAUSE_COMMAND })
      const stillCpu = await cpuPercent()
      dropPageCache(binary)
      await sleep(1_000)
      const memory = memoryOf(skiffPids(agent))
      const times = await askInside<NodeTimes>(cluster.server, 'node-times', { kubeconfig: cluster.server.kubeconfig, nodeName: agent.name, execIn: 'still-0', execs: quick ? 10 : 50, lines: LINES, restarts: quick ? 3 : 10 })
      // From what conmon wrote when it ended to the first thing that the runtime made for the next.
      const paths = runtimePaths(join(agent.dataDir, 'agent'), agent.stateDir)
      const decidedMs = times.restarts.map(({ ended, begun }) => statSync(paths.container(begun).bundle).birthtimeMs - statSync(join(paths.exits, ended)).mtimeMs)
      await cluster.must(['delete', 'pod', '-l', 'what in (still, timed)', '--timeout=60s'], { timeoutMs: 70_000 })

      const probe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 }
      await run('probed', { command: ['httpd', '-f', '-p', '8080', '-h', '/var/www'], readinessProbe: probe, livenessProbe: probe })
      const probedCpu = await cpuPercent()
      return [
        { name: 'agent with 50 pods: RSS', value: memory.rssMB, unit: 'MB', better: 'lower', budget: 110, note: `${count} pods` },
        { name: 'agent with 50 pods: anonymous', value: memory.anonMB, unit: 'MB', better: 'lower' },
        { name: 'agent with 50 pods: CPU at rest', value: stillCpu, unit: '%', better: 'lower', budget: 1 },
        { name: 'agent with 100 HTTP probes a second: CPU', value: probedCpu, unit: '%', better: 'lower', note: `${count * 2} a second` },
        { name: 'exec round trip: p50', value: percentile(times.execMs, 0.5), unit: 'ms', better: 'lower', budget: 80 },
        { name: 'exit to first line of the next start: p50', value: percentile(times.restartMs, 0.5), unit: 'ms', better: 'lower' },
        { name: 'exit to creating the next container: p50', value: percentile(decidedMs, 0.5), unit: 'ms', better: 'lower', budget: 100, note: `longest ${Math.max(...decidedMs).toFixed(0)} ms` },
        { name: 'log lines at 10,000/s: arrived', value: (times.linesSeen / LINES) * 100, unit: '%', better: 'higher', budget: 100, note: `${times.linesPerSecond.toFixed(0)} lines/s written` },
        { name: 'log lines as fast as they come', value: times.fastLinesPerSecond, unit: '/s', better: 'higher', note: times.fastLost === 0 ? 'none lost' : `${times.fastLost} lost` },
      ]
    } finally {
      await cluster.destroy()
    }
  },
}
