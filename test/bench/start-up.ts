/** From exec to /readyz and to a Ready node, on an empty data directory and again on the one it left. */
import { rmSync } from 'node:fs'
import type { Figure, Measurement } from './figure.ts'
import { percentile } from './figure.ts'
import { askInside } from './inside.ts'
import { Cluster } from '../lab/cluster.ts'
import type { StartUp } from './inside/wait-ready.ts'

const READYZ_BUDGET_MS = 1_000
const NODE_READY_BUDGET_MS = 2_500

export const startUp: Measurement = {
  name: 'start-up',
  about: 'cold start and restart, to /readyz and to node Ready',
  async run({ quick }) {
    const cluster = await Cluster.create({ hosts: 1 })
    try {
      const host = cluster.server
      const measure = async (isFresh: boolean): Promise<StartUp> => {
        await cluster.stop(host)
        rmSync(host.kubeconfig, { force: true })
        if (isFresh) for (const dir of [host.dataDir, host.stateDir]) rmSync(dir, { recursive: true, force: true })
        const startedMs = Date.now()
        cluster.start(host)
        return await askInside<StartUp>(host, 'wait-ready', { startedMs, kubeconfig: host.kubeconfig })
      }
      const repeats = quick ? 1 : 5
      const series = async (isFresh: boolean): Promise<StartUp[]> => {
        const found: StartUp[] = []
        for (let i = 0; i < repeats; i++) found.push(await measure(isFresh))
        return found
      }
      const median = (all: readonly StartUp[], of: keyof StartUp): number => percentile(all.map((s) => s[of]), 0.5)
      const figures = (all: readonly StartUp[], how: string): Figure[] => [
        { name: `${how} to /readyz`, value: median(all, 'readyzMs'), unit: 'ms', better: 'lower', budget: READYZ_BUDGET_MS },
        { name: `${how} to node Ready`, value: median(all, 'nodeReadyMs'), unit: 'ms', better: 'lower', budget: NODE_READY_BUDGET_MS },
      ]
      return [...figures(await series(true), 'cold start'), ...figures(await series(false), 'restart')]
    } finally {
      await cluster.destroy()
    }
  },
}
