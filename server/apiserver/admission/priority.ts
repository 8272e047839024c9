/** Turns a pod's priority class into its priority; keeps the global default single. */
import type { Pod, PriorityClass } from '#api/types/index.ts'
import { PRIORITY_CLASSES } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

export const priority: AdmissionPlugin = {
  name: 'Priority',

  mutate(request, api) {
    return !isFor(request, '', 'pods') || request.subresource !== '' ? undefined : givePriority(request, api)
  },

  validate(request, api) {
    return !isFor(request, 'scheduling.k8s.io', 'priorityclasses') || (request.operation !== 'CREATE' && request.operation !== 'UPDATE') ? undefined : checkDefault(request, api)
  },
}

async function checkDefault(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const wanted = request.object as PriorityClass
  if (!wanted.globalDefault) return undefined
  const other = await globalDefault(api)
  return other && other.metadata?.name !== wanted.metadata?.name ? refuse(`PriorityClass ${other.metadata?.name ?? ''} is already marked as default. Only one default can exist`) : undefined
}

async function givePriority(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  if (request.operation === 'UPDATE') {
    const [spec, old] = [(request.object as Pod).spec, (request.old as Pod).spec]
    if (spec && spec.priority === undefined && old?.priority !== undefined) spec.priority = old.priority
    if (spec && spec.preemptionPolicy === undefined && old?.preemptionPolicy !== undefined) spec.preemptionPolicy = old.preemptionPolicy
    return undefined
  }
  return request.operation === 'CREATE' ? resolve(request, api) : undefined
}

async function resolve(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const spec = (request.object as Pod).spec
  if (!spec) return undefined
  const found = spec.priorityClassName ? await find(api, spec.priorityClassName) : await globalDefault(api)
  if (spec.priorityClassName && !found) return refuse(`no PriorityClass with name ${spec.priorityClassName} was found`)
  const value = found?.value ?? 0
  const preemption = found?.preemptionPolicy ?? 'PreemptLowerPriority'
  if (found?.metadata?.name) spec.priorityClassName = found.metadata.name
  if (spec.priority !== undefined && spec.priority !== value) return refuse(`the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`)
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== preemption) return refuse(`the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${preemption} from the given PriorityClass name`)
  spec.priority = value
  spec.preemptionPolicy = preemption
  return undefined
}

async function find(api: AdmissionApi, name: string): Promise<PriorityClass | undefined> {
  try {
    return await api.client.get<PriorityClass>(PRIORITY_CLASSES, name)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}

/** With several, the lowest one, as upstream. */
async function globalDefault(api: AdmissionApi): Promise<PriorityClass | undefined> {
  const { items } = await api.client.list<PriorityClass>(PRIORITY_CLASSES)
  return items.filter((c) => c.globalDefault).sort((a, b) => (a.value ?? 0) - (b.value ?? 0))[0]
}
