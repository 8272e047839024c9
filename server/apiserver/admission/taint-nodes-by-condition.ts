/** A new node takes no pods until the node lifecycle controller has seen it ready. */
import type { Node } from '#api/types/index.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { isFor } from './refuse.ts'

const NOT_READY = 'node.kubernetes.io/not-ready'

export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  mutate(request) {
    if (isFor(request, '', 'nodes') && request.operation === 'CREATE' && request.subresource === '') {
      const spec = ((request.object as Node).spec ??= {})
      if (!spec.taints?.some((t) => t.key === NOT_READY && t.effect === 'NoSchedule')) (spec.taints ??= []).push({ key: NOT_READY, effect: 'NoSchedule' })
    }
    return Promise.resolve(undefined)
  },
}
