/** One writer, many watchers with a selector each, a write at a time: the next begins when all have seen the last. */
import type { IncomingMessage } from 'node:http'
import { answer, openApi, parseArguments, rateOf, type Rate } from './api.ts'
import { CONFIG_MAPS, configMap } from './objects.ts'

/** Events, not changes. */
export type FanOut = Rate

const { kubeconfig, pids, watchers, changes } = parseArguments<{ kubeconfig: string; pids: number[]; watchers: number; changes: number }>()
const api = openApi(kubeconfig, 2)
const { metadata } = await api.ask<{ metadata: { resourceVersion: string } }>('GET', `${CONFIG_MAPS}?limit=1`)
const path = `${CONFIG_MAPS}?watch=1&resourceVersion=${metadata.resourceVersion}&labelSelector=fan%3Dout`
const streams: IncomingMessage[] = []
let unseen = 0
let allSeen: () => void = () => {}

for (let i = 0; i < watchers; i++) {
  const stream = await api.stream(path)
  streams.push(stream)
  stream.on('data', (chunk: Buffer) => {
    // One event is one line.
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) if (--unseen === 0) allSeen()
  })
}
const changed = await rateOf(pids, changes, 1, async (i) => {
  unseen = watchers
  const seen = new Promise<void>((resolve) => { allSeen = resolve })
  await api.ask('POST', CONFIG_MAPS, configMap(`fan-${i}`, { tick: String(i) }, { fan: 'out' }))
  await seen
})
for (const stream of streams) stream.destroy()
api.close()
answer({ perSecond: changed.perSecond * watchers, cpuMs: changed.cpuMs / watchers } satisfies FanOut)
