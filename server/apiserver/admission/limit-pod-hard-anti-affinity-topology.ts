/** LimitPodHardAntiAffinityTopology: a pod may keep others off its node, not off a whole zone. */
import type { Pod } from '#api/types/index.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

const HOST = 'kubernetes.io/hostname'

export const limitPodHardAntiAffinityTopology: AdmissionPlugin = {
  name: 'LimitPodHardAntiAffinityTopology',
  validate(request) {
    if (!isFor(request, '', 'pods') || request.subresource !== '' || (request.operation !== 'CREATE' && request.operation !== 'UPDATE')) return Promise.resolve(undefined)
    const terms = (request.object as Pod).spec?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
    const wide = terms.find((term) => term.topologyKey !== HOST)
    return Promise.resolve(wide && refuse(`affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${wide.topologyKey} but only key ${HOST} is allowed`))
  },
}
