/** Pods may stay five minutes on a node that is not ready or unreachable, unless they say otherwise. */
import type { Pod } from '#api/types/index.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { isFor } from './refuse.ts'

const TOLERATION_SECONDS = 300
const TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']

export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  mutate(request) {
    if (!isFor(request, '', 'pods') || request.subresource !== '' || (request.operation !== 'CREATE' && request.operation !== 'UPDATE')) return Promise.resolve(undefined)
    const spec = (request.object as Pod).spec
    if (!spec) return Promise.resolve(undefined)
    const tolerates = (taint: string): boolean => (spec.tolerations ?? []).some((t) => (t.key === taint || !t.key) && (t.effect === 'NoExecute' || !t.effect))
    for (const key of TAINTS.filter((taint) => !tolerates(taint))) (spec.tolerations ??= []).push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: TOLERATION_SECONDS })
    return Promise.resolve(undefined)
  },
}
