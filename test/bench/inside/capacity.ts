/** How much memory much costs: pods that are stored, watches in which nothing happens; and custom resources, made and read. */
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryOf } from '../process-usage.ts'
import { answer, holdWatches, openApi, parseArguments, rateOf, type Rate } from './api.ts'
import { CONFIG_MAPS, pod, PODS } from './objects.ts'

export interface Capacity {
  customCreate: Rate
  customGet: Rate
  rssBeforeMB: number
  rssWithWatchesMB: number
  /** Right after the last one. */
  rssWithPodsMB: number
}

const GROUP = 'bench.example.com'
const CUSTOM = `/apis/${GROUP}/v1/namespaces/default/widgets`
const IN_FLIGHT = 32

const { kubeconfig, pids, pods, watches, customs } = parseArguments<{ kubeconfig: string; pids: number[]; pods: number; watches: number; customs: number }>()
const api = openApi(kubeconfig, IN_FLIGHT)

await api.ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
  apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: `widgets.${GROUP}` },
  spec: {
    group: GROUP, scope: 'Namespaced', names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [{ name: 'v1', served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: { type: 'object', properties: { spec: {
      type: 'object', required: ['size'], 'x-kubernetes-validations': [{ rule: 'self.size <= self.limit', message: 'too large' }],
      properties: { size: { type: 'integer', minimum: 0 }, limit: { type: 'integer', default: 1000000 }, parts: { type: 'array', maxItems: 100, items: { type: 'object', properties: { name: { type: 'string', maxLength: 63 }, weight: { type: 'integer' } } } } },
    } } } } }],
  },
})
await untilServed()
const widget = (i: number): object => ({ apiVersion: `${GROUP}/v1`, kind: 'Widget', metadata: { name: `w-${i}` }, spec: { size: i, parts: Array.from({ length: 10 }, (_, n) => ({ name: `part-${n}`, weight: n })) } })
const customCreate = await rateOf(pids, customs, IN_FLIGHT, (i) => api.ask('POST', CUSTOM, widget(i)))
const customGet = await rateOf(pids, customs, IN_FLIGHT, (i) => api.ask('GET', `${CUSTOM}/w-${i}`))

const rss = (): number => memoryOf(pids).rssMB
const rssBeforeMB = rss()
await holdWatches(kubeconfig, `${CONFIG_MAPS}?watch=1&resourceVersion=0`, watches)
const rssWithWatchesMB = rss()
await rateOf(pids, pods, IN_FLIGHT, (i) => api.ask('POST', PODS, pod(`many-${i}`, i % 10)))
answer({ customCreate, customGet, rssBeforeMB, rssWithWatchesMB, rssWithPodsMB: rss() } satisfies Capacity)
process.exit(0)

async function untilServed(): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  for (;;) {
    try {
      await api.ask('GET', CUSTOM)
      return
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await sleep(50)
    }
  }
}
