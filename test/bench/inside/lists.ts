/** Lists of all pods; makes up the number first. */
import { answer, openApi, parseArguments, rateOf, type Rate } from './api.ts'
import { pod, PODS } from './objects.ts'

export interface Lists { all: Rate; /** As clients in Go ask. */ gzipped: Rate; byLabel: Rate; bytes: number }

const { kubeconfig, pids, pods, repeats } = parseArguments<{ kubeconfig: string; pids: number[]; pods: number; repeats: number }>()
const api = openApi(kubeconfig, 32)
const { items } = await api.ask<{ items: unknown[] }>('GET', `${PODS}?resourceVersion=0`)
await rateOf(pids, pods - items.length, 16, (i) => api.ask('POST', PODS, pod(`more-${i}`, i % 10)))
let bytes = 0
const all = await rateOf(pids, repeats, 2, async () => { bytes = await api.count(`${PODS}?resourceVersion=0`) })
const gzipped = await rateOf(pids, repeats, 2, () => api.count(`${PODS}?resourceVersion=0`, 'gzip'))
const byLabel = await rateOf(pids, repeats * 4, 2, () => api.count(`${PODS}?labelSelector=shard%3Ds3`))
api.close()
answer({ all, gzipped, byLabel, bytes } satisfies Lists)
