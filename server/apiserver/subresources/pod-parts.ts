/** `pods/ephemeralcontainers` (kubectl debug) and `pods/resize`: updates that may touch one part of a pod's spec. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Pod } from '#api/types/index.ts'
import type { FieldError } from '../field-error.ts'
import { invalid, methodNotAllowed } from '../http/status.ts'
import { validateEphemeralContainers, validateResize } from '../kinds/pod-parts-validation.ts'
import { cloneJson } from '../storage/clone.ts'
import { readObject } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { change, type Change } from '../verbs/change.ts'
import { get } from '../verbs/get.ts'
import { parseWriteOptions } from '../verbs/options.ts'
import { patchChange } from '../verbs/patch.ts'
import type { Full } from '../verbs/stored.ts'

const ATTEMPTS = 16

type PodObject = Full & Pod

export const ephemeralContainers = (call: Call): Promise<ApiResponse> => podPart(call, { take: takeEphemeral, validate: validateEphemeralContainers })
export const resize = (call: Call): Promise<ApiResponse> => podPart(call, { take: takeResources, validate: validateResize })

interface Part {
  /** Moves what may change from `wanted` to `old`. */
  take(old: PodObject, wanted: PodObject): void
  validate(pod: Pod, old: Pod): FieldError[]
}

async function podPart(call: Call, part: Part): Promise<ApiResponse> {
  if (call.verb === 'get') return get(call)
  const wanted = changeOf(call)
  return change(call, {
    ...wanted,
    async next(old) {
      const asked = (await wanted.next(cloneJson(old))) as PodObject
      const before = cloneJson(old)
      part.take(old as PodObject, asked)
      // Rules are about objects with their defaults.
      call.row.strategy.defaults?.(old)
      const errors = part.validate(old, before)
      if (errors.length > 0) throw invalid(call.row.ref, call.info.name, errors)
      old.metadata.resourceVersion = asked.metadata.resourceVersion ?? ''
      return old
    },
    part: 'spec',
  })
}

function changeOf(call: Call): Change {
  if (call.verb === 'patch') return patchChange(call)
  if (call.verb !== 'update') throw methodNotAllowed()
  const options = parseWriteOptions(call, 'UpdateOptions')
  const object = readObject(call, options.fieldValidation)
  return { next: () => cloneJson(object), part: 'spec', fields: 'update', options, attempts: ATTEMPTS }
}

function takeEphemeral(old: PodObject, wanted: PodObject): void {
  if (!old.spec) return
  const after = wanted.spec?.ephemeralContainers ?? []
  if (after.length > 0) old.spec.ephemeralContainers = after
  else delete old.spec.ephemeralContainers
}

/** All else in what was sent is as if it had not been; but containers in other places are taken as they are, for the validation to refuse. */
function takeResources(old: PodObject, wanted: PodObject): void {
  if (!old.spec || !wanted.spec) return
  if (wanted.spec.resources) old.spec.resources = wanted.spec.resources
  for (const list of ['containers', 'initContainers'] as const) {
    const [before, after] = [old.spec[list] ?? [], wanted.spec[list] ?? []]
    if (before.length !== after.length || before.some((container, i) => container.name !== after[i]?.name)) {
      old.spec[list] = after
      continue
    }
    for (const [i, container] of before.entries()) {
      const asked = after[i]
      if (!asked) continue
      if (asked.resources) container.resources = asked.resources
      if (asked.resizePolicy) container.resizePolicy = asked.resizePolicy
    }
  }
}
