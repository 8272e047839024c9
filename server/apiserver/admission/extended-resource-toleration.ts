/** ExtendedResourceToleration: pods that ask for a device tolerate the taint that keeps others off the nodes that have it. */
import type { Pod } from '#api/types/index.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { isFor } from './refuse.ts'

export const extendedResourceToleration: AdmissionPlugin = {
  name: 'ExtendedResourceToleration',
  mutate(request) {
    const spec = isFor(request, '', 'pods') && request.subresource === '' && (request.operation === 'CREATE' || request.operation === 'UPDATE') ? (request.object as Pod).spec : undefined
    if (!spec) return Promise.resolve(undefined)
    const asked = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].flatMap((c) => Object.keys(c.resources?.requests ?? {})).filter(isExtended))
    for (const key of [...asked].sort()) {
      const wanted = { key, operator: 'Exists', effect: 'NoSchedule' }
      if (!spec.tolerations?.some((t) => t.key === key && t.operator === 'Exists' && (t.effect === 'NoSchedule' || !t.effect))) (spec.tolerations ??= []).push(wanted)
    }
    return Promise.resolve(undefined)
  },
}

const isExtended = (name: string): boolean => name.includes('/') && !/^(?:[^/]*\.)?kubernetes\.io\//.test(name) && !name.startsWith('requests.')
