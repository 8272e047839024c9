/** `pods/ephemeralcontainers` (kubectl debug) and `pods/resize`: updates that may touch one part of a pod's spec. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Pod } from '#api/types/index.ts'
import { methodNotAllowed } from '../http/status.ts'
import { validateEphemeralContainers, validateResize } from '../kinds/pod-parts-validation.ts'
import { cloneJson } from '../storage/clone.ts'
import { readObject } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { change, keepMetadata, type Change, type Rules } from '../verbs/change.ts'
import { get } from '../verbs/get.ts'
import { parseWriteOptions } from '../verbs/options.ts'
import { patchChange } from '../verbs/patch.ts'
import type { Full } from '../verbs/stored.ts'

const ATTEMPTS = 16

type PodObject = Full & Pod

export const ephemeralContainers = (call: Call): Promise<ApiResponse> => podPart(call, { prepare: takeEphemeral, validate: validateEphemeralContainers })
export const resize = (call: Call): Promise<ApiResponse> => podPart(call, { prepare: takeResources, validate: validateResize })

async function podPart(call: Call, rules: Rules): Promise<ApiResponse> {
  return call.verb === 'get' ? get(call) : change(call, { ...changeOf(call), part: 'spec', rules })
}

function changeOf(call: Call): Change {
  if (call.verb === 'patch') return patchChange(call)
  if (call.verb !== 'update') throw methodNotAllowed()
  const options = parseWriteOptions(call, 'UpdateOptions')
  const object = readObject(call, options.fieldValidation)
  return { next: () => cloneJson(object), part: 'spec', fields: 'update', options, attempts: ATTEMPTS }
}

/** All else in what was sent is as if it had not been. */
function takeEphemeral(pod: PodObject, old: PodObject): void {
  const after = pod.spec?.ephemeralContainers ?? []
  putBack(pod, old)
  if (!pod.spec) return
  if (after.length > 0) pod.spec.ephemeralContainers = after
  else delete pod.spec.ephemeralContainers
}

/** The same for resources; but containers in other places are taken as they are, for the validation to refuse. */
function takeResources(pod: PodObject, old: PodObject): void {
  const asked = pod.spec
  putBack(pod, old)
  const { spec } = pod
  if (!spec || !asked) return
  carry(spec, asked, 'resources')
  for (const list of ['containers', 'initContainers'] as const) {
    const [before, after] = [spec[list] ?? [], asked[list] ?? []]
    if (before.length !== after.length || before.some((container, i) => container.name !== after[i]?.name)) {
      spec[list] = after
      continue
    }
    for (const [i, container] of before.entries()) {
      const wanted = after[i]
      if (wanted) carry(container, wanted, 'resources', 'resizePolicy')
    }
  }
}

function putBack(pod: PodObject, old: PodObject): void {
  keepMetadata(pod, old)
  for (const part of ['spec', 'status'] as const) carry(pod, cloneJson(old), part)
}

function carry<T extends object, K extends keyof T>(to: T, from: T, ...keys: readonly K[]): void {
  for (const key of keys) {
    if (from[key] === undefined) delete to[key]
    else to[key] = from[key]
  }
}
