/** `pods/ephemeralcontainers` (kubectl debug) and `pods/resize`: updates that may touch one part of a pod's spec. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Pod } from '#api/types/index.ts'
import { forbidden as forbiddenField } from '../field-error.ts'
import { invalid, methodNotAllowed } from '../http/status.ts'
import { equalJson } from '../storage/equal.ts'
import { readObject } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { change, type Change } from '../verbs/change.ts'
import { get } from '../verbs/get.ts'
import { parseWriteOptions } from '../verbs/options.ts'
import { patchChange } from '../verbs/patch.ts'
import type { Full } from '../verbs/stored.ts'

const ATTEMPTS = 16

type PodObject = Full & Pod

export const ephemeralContainers = (call: Call): Promise<ApiResponse> => podPart(call, takeEphemeral)
export const resize = (call: Call): Promise<ApiResponse> => podPart(call, takeResources)

async function podPart(call: Call, take: (call: Call, old: PodObject, wanted: PodObject) => void): Promise<ApiResponse> {
  if (call.verb === 'get') return get(call)
  const wanted = changeOf(call)
  return change(call, {
    ...wanted,
    async next(old) {
      const asked = (await wanted.next(structuredClone(old))) as PodObject
      take(call, old as PodObject, asked)
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
  return { next: () => structuredClone(object), part: 'spec', fields: 'update', options, attempts: ATTEMPTS }
}

function takeEphemeral(call: Call, old: PodObject, wanted: PodObject): void {
  const before = old.spec?.ephemeralContainers ?? []
  const after = wanted.spec?.ephemeralContainers ?? []
  for (const container of before) {
    const now = after.find((c) => c.name === container.name)
    const refuse = (detail: string) => invalid(call.row.ref, call.info.name, [forbiddenField('spec.ephemeralContainers', detail)])
    if (!now) throw refuse(`existing ephemeral containers ${JSON.stringify(container.name)} may not be removed\n`)
    if (!equalJson({ ...container, terminationMessagePath: undefined, terminationMessagePolicy: undefined, imagePullPolicy: undefined }, { ...now, terminationMessagePath: undefined, terminationMessagePolicy: undefined, imagePullPolicy: undefined })) {
      throw refuse(`existing ephemeral containers ${JSON.stringify(container.name)} may not be changed\n`)
    }
  }
  if (old.spec && after.length > 0) old.spec.ephemeralContainers = after
}

function takeResources(_call: Call, old: PodObject, wanted: PodObject): void {
  for (const container of old.spec?.containers ?? []) {
    const asked = wanted.spec?.containers.find((c) => c.name === container.name)
    if (asked?.resources) container.resources = asked.resources
    if (asked?.resizePolicy) container.resizePolicy = asked.resizePolicy
  }
}
