/** Pods may stay five minutes, or as the flags say, on a node that is not ready or unreachable, unless they say otherwise. */
import type { Pod } from '#api/types/index.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { isFor } from './refuse.ts'

export interface TolerationSeconds { notReady: number; unreachable: number }

const SECONDS: TolerationSeconds = { notReady: 300, unreachable: 300 }

export const defaultTolerationSeconds = (seconds = SECONDS): AdmissionPlugin => ({
  name: 'DefaultTolerationSeconds',
  mutate(request) {
    if (!isFor(request, '', 'pods') || request.subresource !== '' || (request.operation !== 'CREATE' && request.operation !== 'UPDATE')) return Promise.resolve(undefined)
    const spec = (request.object as Pod).spec
    if (!spec) return Promise.resolve(undefined)
    const tolerates = (taint: string): boolean => (spec.tolerations ?? []).some((t) => (t.key === taint || !t.key) && (t.effect === 'NoExecute' || !t.effect))
    const taints: readonly [string, number][] = [['node.kubernetes.io/not-ready', seconds.notReady], ['node.kubernetes.io/unreachable', seconds.unreachable]]
    for (const [key, tolerationSeconds] of taints.filter(([taint]) => !tolerates(taint))) (spec.tolerations ??= []).push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds })
    return Promise.resolve(undefined)
  },
})
