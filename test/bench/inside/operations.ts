/** Single-object operations. */
import { answer, openApi, parseArguments, rateOf, type Rate } from './api.ts'
import { CONFIG_MAPS, configMap, pod, PODS } from './objects.ts'

export interface Operations {
  create: Rate
  createSerial: Rate
  createPod: Rate
  get: Rate
  update: Rate
  mergePatch: Rate
}

const { kubeconfig, pids, count, inFlight } = parseArguments<{ kubeconfig: string; pids: number[]; count: number; inFlight: number }>()
const SERIAL = 200
const api = openApi(kubeconfig, inFlight)
const create = await rateOf(pids, count, inFlight, (i) => api.ask('POST', CONFIG_MAPS, configMap(`op-${i}`)))
const createSerial = await rateOf(pids, SERIAL, 1, (i) => api.ask('POST', CONFIG_MAPS, configMap(`serial-${i}`)))
const createPod = await rateOf(pids, count, inFlight, (i) => api.ask('POST', PODS, pod(`op-${i}`, i % 10)))
const get = await rateOf(pids, count * 2, inFlight, (i) => api.ask('GET', `${PODS}/op-${i % count}`))
const update = await rateOf(pids, count, inFlight, (i) => api.ask('PUT', `${CONFIG_MAPS}/op-${i}`, configMap(`op-${i}`, { payload: 'y'.repeat(1000) })))
const mergePatch = await rateOf(pids, count, inFlight, (i) => api.ask('PATCH', `${PODS}/op-${i}`, { metadata: { annotations: { touched: String(i) } } }, 'application/merge-patch+json'))
api.close()
answer({ create, createSerial, createPod, get, update, mergePatch } satisfies Operations)
