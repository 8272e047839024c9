/** Lists of all pods; makes up the number first. */
import { answer, openApi, parseArguments, rateOf, type Rate } from './api.ts'
import { pod, PODS } from './objects.ts'

export interface Lists { all: Rate; /** As clients in Go ask. */ gzipped: Rate; inProtobuf: Rate; /** A watch that begins with all of them (WatchList); undefined: the server ends it before it has told of all (upstream on an etcd before 3.4.25). */ watched: Rate | undefined; byLabel: Rate; bytes: number }

const { kubeconfig, pids, pods, repeats } = parseArguments<{ kubeconfig: string; pids: number[]; pods: number; repeats: number }>()
const api = openApi(kubeconfig, 32)
const { items } = await api.ask<{ items: unknown[] }>('GET', `${PODS}?resourceVersion=0`)
await rateOf(pids, pods - items.length, 16, (i) => api.ask('POST', PODS, pod(`more-${i}`, i % 10)))
let bytes = 0
const all = await rateOf(pids, repeats, 2, async () => { bytes = await api.count(`${PODS}?resourceVersion=0`) })
const gzipped = await rateOf(pids, repeats, 2, () => api.count(`${PODS}?resourceVersion=0`, { 'accept-encoding': 'gzip' }))
const inProtobuf = await rateOf(pids, repeats, 2, () => api.count(`${PODS}?resourceVersion=0`, { accept: 'application/vnd.kubernetes.protobuf' }))
let isTold = true
const watching = await rateOf(pids, repeats, 2, async () => {
  const stream = await api.stream(`${PODS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=60`)
  for await (const chunk of stream) if ((chunk as Buffer).includes('k8s.io/initial-events-end')) return
  isTold = false
})
const watched = isTold ? watching : undefined
const byLabel = await rateOf(pids, repeats * 4, 2, () => api.count(`${PODS}?labelSelector=shard%3Ds3`))
api.close()
answer({ all, gzipped, inProtobuf, watched, byLabel, bytes } satisfies Lists)
