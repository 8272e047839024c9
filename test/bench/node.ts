/** A node at work: what fifty pods and a hundred probes a second cost the agent, exec round trips and probes, restarts. */
import { execFileSync } from 'node:child_process'
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
/** Of probes that run a program: a hundred a second are more than two cores of runc alone. */
const EXEC_PROBED = { quick: 3, full: 5 }

interface StartedPod { status: { containerStatuses: { containerID: string }[] } }

export const node: Measurement = {
  name: 'node',
  about: 'an agent with 50 pods and with 100 probes a second, exec round trips and probes, restarts',
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
      const run = async (what: string, container: object, many = count) => {
        const pods = Array.from({ length: many }, (_, i) => ({
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
      const times = await askInside<NodeTimes>(cluster.server, 'node-times', { kubeconfig: cluster.server.kubeconfig, nodeName: agent.name, execIn: 'still-0', execs: quick ? 10 : 50, restarts: quick ? 3 : 10 })
      // From what conmon wrote when it ended to the first thing that the runtime made for the next.
      const paths = runtimePaths(join(agent.dataDir, 'agent'), agent.stateDir)
      const decidedMs = times.restarts.map(({ ended, begun }) => statSync(paths.container(begun).bundle).birthtimeMs - statSync(join(paths.exits, ended)).mtimeMs)
      const still = JSON.parse(await cluster.must(['get', 'pod', 'still-0', '-o', 'json'])) as StartedPod
      const id = still.status.containerStatuses[0]?.containerID.replace(/^.*:\/\//, '') ?? ''
      const runcMs = Array.from({ length: quick ? 10 : 50 }, () => {
        const startMs = performance.now()
        execFileSync('runc', ['--root', paths.ociRoot, 'exec', id, 'true'])
        return performance.now() - startMs
      })
      await cluster.must(['delete', 'pod', '-l', 'what in (still, timed)', '--timeout=60s'], { timeoutMs: 70_000 })

      const probe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 }
      await run('probed', { command: ['httpd', '-f', '-p', '8080', '-h', '/var/www'], readinessProbe: probe, livenessProbe: probe })
      const probedCpu = await cpuPercent()
      await cluster.must(['delete', 'pod', '-l', 'what=probed', '--timeout=60s'], { timeoutMs: 70_000 })

      const execProbe = { exec: { command: ['true'] }, periodSeconds: 1 }
      await run('exec-probed', { command: PAUSE_COMMAND, readinessProbe: execProbe, livenessProbe: execProbe }, EXEC_PROBED[how])
      // With runc, which the agent waits for.
      const execProbedCpu = await cpuPercent()
      return [
        { name: 'agent with 50 pods: RSS', value: memory.rssMB, unit: 'MB', better: 'lower', budget: 110, note: `${count} pods` },
        { name: 'agent with 50 pods: anonymous', value: memory.anonMB, unit: 'MB', better: 'lower' },
        { name: 'agent with 50 pods: CPU at rest', value: stillCpu, unit: '%', better: 'lower', budget: 1 },
        { name: 'agent with 100 HTTP probes a second: CPU', value: probedCpu, unit: '%', better: 'lower', note: `${count * 2} a second` },
        { name: 'an exec probe: CPU', value: (execProbedCpu * 10) / (EXEC_PROBED[how] * 2), unit: 'ms', better: 'lower', note: `of the agent and runc, at ${EXEC_PROBED[how] * 2} a second` },
        { name: 'exec round trip: p50', value: percentile(times.execMs, 0.5), unit: 'ms', better: 'lower', budget: 80 },
        { name: 'runc exec by itself: p50', value: percentile(runcMs, 0.5), unit: 'ms', better: 'lower', note: 'in the same container, right after' },
        { name: 'exit to first line of the next start: p50', value: percentile(times.restartMs, 0.5), unit: 'ms', better: 'lower' },
        { name: 'exit to creating the next container: p50', value: percentile(decidedMs, 0.5), unit: 'ms', better: 'lower', budget: 100, note: `longest ${Math.max(...decidedMs).toFixed(0)} ms` },
      ]
    } finally {
      await cluster.destroy()
    }
  },
}
