/** Which container of a pod is meant, or upstream's complaint about the choice. Pure. */
import type { Pod } from '#api/types/index.ts'
import { badRequest } from '../http/status.ts'

const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container'

export function containerOf(pod: Pod, asked: string, what: 'log' | 'exec' | 'attach'): string {
  const name = pod.metadata?.name ?? ''
  const names = (pod.spec?.containers ?? []).map((c) => c.name)
  const init = (pod.spec?.initContainers ?? []).map((c) => c.name)
  const ephemeral = (pod.spec?.ephemeralContainers ?? []).map((c) => c.name)
  if (asked !== '') {
    if ([...names, ...init, ...ephemeral].includes(asked)) return asked
    throw badRequest(what === 'log' ? `container ${asked} is not valid for pod ${name}` : `container ${asked} is not valid for pod ${name}`)
  }
  if (names.length === 1) return names[0] ?? ''
  const preferred = pod.metadata?.annotations?.[DEFAULT_CONTAINER]
  if (preferred !== undefined && what !== 'log' && names.includes(preferred)) return preferred
  if (names.length === 0) throw badRequest(`a container name must be specified for pod ${name}`)
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${[...init, ...names, ...ephemeral].join(' ')}]`)
}
