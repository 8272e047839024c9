/** What containers print, on its way to who reads it: lines a second without loss, and their price in the agent and the server. */
import { Cluster } from '../lab/cluster.ts'
import { conmonPids, runPods, skiffPids, waitForNamespace } from './cluster-figures.ts'
import type { Figure, Measurement } from './figure.ts'
import { askInside } from './inside.ts'
import type { LogTimes } from './inside/log-times.ts'
import { usageOf } from './process-usage.ts'

/** Steadily so many that the log is rotated meanwhile (10 MiB, looked at every ten seconds); at once so many that it is not, for what is rotated away is not read. */
const STEADY_LINES = { quick: 30_000, full: 300_000 }
const FAST_LINES = { quick: 30_000, full: 100_000 }

/** A thousand at a time, with pauses that leave it well above 10,000 a second; a loop of the shell alone does not reach that. */
const steadily = (lines: number): string => `awk 'BEGIN { for (i = 0; i < ${lines}; i++) { print i, "a line of a program that talks"; if (i % 1000 == 999) { fflush(); system("usleep 60000") } } }'`
const atOnce = (lines: number): string => `seq 0 ${lines - 1}`

export const logs: Measurement = {
  name: 'logs',
  about: 'log lines a second without loss, and what they cost',
  async run({ quick }) {
    const cluster = await Cluster.create({ hosts: 2 })
    const how = quick ? 'quick' : 'full'
    try {
      const agent = cluster.lab.hosts[1]
      if (!agent) throw new Error('the lab has fewer than two hosts')
      await waitForNamespace(cluster)
      await runPods(cluster, ['warm-up'])
      const cpu = () => ({ server: usageOf(skiffPids(cluster.server)).cpuSeconds, agent: usageOf(skiffPids(agent)).cpuSeconds, conmon: usageOf(conmonPids(agent)).cpuSeconds })
      const measure = async (name: string, script: string, lines: number, twice: boolean) => {
        const before = cpu()
        const times = await askInside<LogTimes>(cluster.server, 'log-times', { kubeconfig: cluster.server.kubeconfig, nodeName: agent.name, name, script, lines, twice })
        const after = cpu()
        const per100k = (who: keyof typeof after, reads: number) => ((after[who] - before[who]) / lines / reads) * 100_000
        const reads = twice ? 2 : 1
        return { ...times, followedPercent: (times.followed / lines) * 100, readPercent: (times.read / lines) * 100, cpu: { server: per100k('server', reads), agent: per100k('agent', reads), conmon: per100k('conmon', 1) } }
      }
      const steady = await measure('steady', steadily(STEADY_LINES[how]), STEADY_LINES[how], false)
      const fast = await measure('fast', atOnce(FAST_LINES[how]), FAST_LINES[how], true)
      const figures: Figure[] = [
        { name: 'log lines followed as they are written: arrived in order', value: steady.followedPercent, unit: '%', better: 'higher', budget: 100, note: `the last ${steady.lagMs.toFixed(0)} ms after it was written` },
        { name: 'log lines written meanwhile', value: steady.writtenPerSecond, unit: '/s', better: 'higher', budget: 10_000, note: 'by awk, a thousand every 60 ms' },
        { name: 'log lines as fast as seq prints them', value: fast.writtenPerSecond, unit: '/s', better: 'higher', note: `${fast.followedPercent.toFixed(1)} % followed, ${fast.readPercent.toFixed(1)} % read again` },
        { name: 'log lines read of a whole log', value: fast.readPerSecond, unit: '/s', better: 'higher' },
        { name: 'CPU of the agent for 100,000 log lines read', value: fast.cpu.agent, unit: 's', better: 'lower', note: `${steady.cpu.agent.toFixed(2)} s where they come little by little` },
        { name: 'CPU of the server for 100,000 log lines read', value: fast.cpu.server, unit: 's', better: 'lower', note: `${steady.cpu.server.toFixed(2)} s where they come little by little` },
        { name: 'CPU of conmon for 100,000 log lines written', value: fast.cpu.conmon, unit: 's', better: 'lower', note: `${steady.cpu.conmon.toFixed(2)} s where they come little by little` },
      ]
      return figures
    } finally {
      await cluster.destroy()
    }
  },
}
