/** Wires the horizontal pod autoscaler: each autoscaler is looked at every 15 s, and when it changes. */
import { PODS, keyOf, type KubeObject, type Pod, type ResourceRef, type Stored, type V2HorizontalPodAutoscaler as Autoscaler } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { decideAutoscaler, isScaled, type AutoscalerAction, type AutoscalerView } from './decide.ts'
import type { History } from './limits.ts'
import { readMetrics, readScale, scalePath } from './observe.ts'

const AUTOSCALERS: ResourceRef = { group: 'autoscaling', version: 'v2', resource: 'horizontalpodautoscalers', kind: 'HorizontalPodAutoscaler', namespaced: true }
/** The longest window a policy or a stabilization may have. */
const HISTORY_MS = 3_600_000
const NO_HISTORY: History = { proposals: [], changes: [] }

export const horizontalPodAutoscalerController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const autoscalers = informers.of<Autoscaler>(AUTOSCALERS)
  const pods = informers.of<Pod>(PODS)
  const recorder = recorderFor('horizontal-pod-autoscaler', deps)
  const histories = new Map<string, History>()
  const remember = (key: string, more: Partial<History>): void => {
    const { proposals, changes } = histories.get(key) ?? NO_HISTORY
    const recent = <T extends { atMs: number }>(all: readonly T[]): T[] => all.filter((one) => one.atMs > clock.nowMs() - HISTORY_MS)
    histories.set(key, { proposals: recent([...proposals, ...(more.proposals ?? [])]), changes: recent([...changes, ...(more.changes ?? [])]) })
  }

  const loop = createLoop<AutoscalerView, AutoscalerAction>({
    name: 'horizontal-pod-autoscaler-controller',
    async observe(key, signal) {
      const hpa = autoscalers.get(key)
      if (!hpa) return undefined
      const scale = await scalePath(client, hpa, signal).then((path) => readScale(client, path, signal)).catch((error: unknown) => asError(error).message)
      const metrics = typeof scale !== 'string' && isScaled({ hpa, scale }) ? await readMetrics({ client, pods, hpa, current: scale.replicas, selector: scale.selector, nowMs: clock.nowMs(), signal }) : []
      return { hpa, scale, metrics, history: histories.get(key) ?? NO_HISTORY }
    },
    decide: decideAutoscaler,
    effects: ({ hpa }, key) => ({
      tell({ type, reason, message }) {
        recorder.event(hpa, type, reason, message)
        return Promise.resolve()
      },
      remember({ proposal }) {
        remember(key, { proposals: [{ atMs: clock.nowMs(), replicas: proposal }] })
        return Promise.resolve()
      },
      async scale({ from, replicas, because }, signal) {
        try {
          const path = await scalePath(client, hpa, signal)
          const scale = await client.raw('GET', path, undefined, signal) as KubeObject & { spec?: object }
          await client.raw('PUT', path, { ...scale, spec: { ...scale.spec, replicas } }, signal)
        } catch (error) {
          recorder.event(hpa, 'Warning', 'FailedRescale', `New size: ${replicas}; reason: ${because}; error: ${asError(error).message}`)
          throw error
        }
        remember(key, { changes: [{ atMs: clock.nowMs(), delta: replicas - from }] })
        recorder.event(hpa, 'Normal', 'SuccessfulRescale', `New size: ${replicas}; reason: ${because}`)
      },
      async writeStatus({ status }, signal) {
        await client.update<Autoscaler>(AUTOSCALERS, { ...hpa, status }, { subresource: 'status', signal })
      },
    }),
    isOrdinary,
  }, deps)

  autoscalers.onChange((before, after: Stored<Autoscaler> | undefined) => {
    if (!after) {
      if (before) histories.delete(keyOf(before))
      return
    }
    // What it writes itself is no reason to look again.
    if (!before || JSON.stringify(before.spec) !== JSON.stringify(after.spec)) loop.queue.add(keyOf(after))
  })

  return {
    name: 'horizontal-pod-autoscaler-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
