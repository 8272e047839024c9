/** Times pods by watching them: one at a time, then a Deployment. */
import { createInterface } from 'node:readline'
import { answer, openApi, parseArguments } from './api.ts'

export interface PodTimes { readyMs: number[]; goneMs: number[]; deploymentMs: number }

interface Pod { metadata: { name: string; labels?: Record<string, string> }; spec: object; status?: { conditions?: { type: string; status: string }[] } }
interface Event { type: string; object: Pod }

const { kubeconfig, count, replicas, pod } = parseArguments<{ kubeconfig: string; count: number; replicas: number; pod: Pod }>()
const api = openApi(kubeconfig, 4)
const PODS = '/api/v1/namespaces/default/pods'
const TIMEOUT_MS = 60_000

const ready = new Set<string>()
const gone = new Set<string>()
let wake: () => void = () => {}

const stream = await api.stream(`${PODS}?watch=1`)
const lines = createInterface({ input: stream })
// Ended by the last line of this program.
stream.on('error', () => {})
lines.on('error', () => {})
lines.on('line', (line) => {
  const { type, object } = JSON.parse(line) as Event
  const { name } = object.metadata
  if (type === 'DELETED') gone.add(name)
  else if (object.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')) ready.add(name)
  wake()
})

/** Milliseconds from `startMs` until the watch shows it. */
async function seen(what: string, startMs: number, holds: () => boolean): Promise<number> {
  for (;;) {
    if (holds()) return performance.now() - startMs
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not within ${TIMEOUT_MS / 1000} s: ${what}`)), TIMEOUT_MS)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

const readyMs: number[] = []
const goneMs: number[] = []
for (let i = 0; i < count; i++) {
  const name = `timed-${i}`
  const createdMs = performance.now()
  await api.ask('POST', PODS, { ...pod, metadata: { ...pod.metadata, name } })
  readyMs.push(await seen(`${name} is Ready`, createdMs, () => ready.has(name)))
  const deletedMs = performance.now()
  await api.ask('DELETE', `${PODS}/${name}`)
  goneMs.push(await seen(`${name} is gone`, deletedMs, () => gone.has(name)))
}

const labels = { app: 'wave' }
const before = ready.size
const deployedMs = performance.now()
await api.ask('POST', '/apis/apps/v1/namespaces/default/deployments', {
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'wave' },
  spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod.spec } },
})
const deploymentMs = await seen(`${replicas} pods of a Deployment are Ready`, deployedMs, () => ready.size - before >= replicas)
stream.destroy()
api.close()
answer({ readyMs, goneMs, deploymentMs } satisfies PodTimes)
