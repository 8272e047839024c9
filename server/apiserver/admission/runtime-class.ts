/** Applies a RuntimeClass to the pods that name it: its overhead and where it can run. */
import type { Pod, RuntimeClass } from '#api/types/index.ts'
import { RUNTIME_CLASSES } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

export const runtimeClass: AdmissionPlugin = {
  name: 'RuntimeClass',
  mutate(request, api) {
    return !isFor(request, '', 'pods') || request.subresource !== '' || request.operation !== 'CREATE' ? undefined : applyClass(request, api)
  },
  validate(request, api) {
    return !isFor(request, '', 'pods') || request.subresource !== '' || request.operation !== 'CREATE' ? undefined : checkOverhead(request, api)
  },
}

async function checkOverhead(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const { overhead, runtimeClassName } = (request.object as Pod).spec ?? {}
  if (!overhead) return undefined
  const defined = runtimeClassName ? (await find(api, runtimeClassName))?.overhead?.podFixed : undefined
  return defined ? undefined : refuse('pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead')
}

async function applyClass(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const spec = (request.object as Pod).spec
  if (!spec?.runtimeClassName) return undefined
  const found = await find(api, spec.runtimeClassName)
  if (!found) return refuse(`pod rejected: RuntimeClass "${spec.runtimeClassName}" not found`)
  const overhead = found.overhead?.podFixed
  if (overhead) {
    if (spec.overhead && !semanticEqual(spec.overhead, overhead)) return refuse("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    spec.overhead = { ...overhead }
  }
  for (const [key, value] of Object.entries(found.scheduling?.nodeSelector ?? {})) {
    const own = spec.nodeSelector?.[key]
    if (own !== undefined && own !== value) return refuse(`conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`)
    spec.nodeSelector = { ...spec.nodeSelector, [key]: value }
  }
  for (const toleration of found.scheduling?.tolerations ?? []) if (!spec.tolerations?.some((t) => semanticEqual(t, toleration))) (spec.tolerations ??= []).push({ ...toleration })
  return undefined
}

async function find(api: AdmissionApi, name: string): Promise<RuntimeClass | undefined> {
  try {
    return await api.client.get<RuntimeClass>(RUNTIME_CLASSES, name)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
