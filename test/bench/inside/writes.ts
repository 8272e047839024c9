/** Creates ConfigMaps of 1 kB at one server or spread over several. */
import { answer, openApi, parseArguments, rateOf, type Rate } from './api.ts'
import { CONFIG_MAPS, configMap } from './objects.ts'

export interface Writes { all: Rate; latencyMs: number[] }

const { kubeconfig, servers, name, count, inFlight, pids } = parseArguments<{ kubeconfig: string; servers: string[]; name: string; count: number; inFlight: number; pids: number[] }>()
const apis = servers.map((server) => openApi(kubeconfig, Math.ceil(inFlight / servers.length), server))
const latencyMs: number[] = []
const write = async (i: number): Promise<void> => {
  const startMs = performance.now()
  await apis[i % apis.length]?.ask('POST', CONFIG_MAPS, configMap(`${name}-${i}`))
  latencyMs.push(performance.now() - startMs)
}
// Connections, and what the first requests make ready.
await rateOf(pids, inFlight * 4, inFlight, (i) => write(1_000_000 + i))
latencyMs.length = 0
const all = await rateOf(pids, count, inFlight, write)
for (const api of apis) api.close()
answer({ all, latencyMs } satisfies Writes)
