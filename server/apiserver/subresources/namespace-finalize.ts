/** `namespaces/finalize`: only spec.finalizers is taken over; the last one gone lets the namespace go. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Namespace } from '#api/types/index.ts'
import { readObject } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { change } from '../verbs/change.ts'
import { parseWriteOptions } from '../verbs/options.ts'
import type { Full } from '../verbs/stored.ts'

const ATTEMPTS = 16

export async function finalizeNamespace(call: Call): Promise<ApiResponse> {
  const options = parseWriteOptions(call, 'UpdateOptions')
  const wanted = readObject(call, options.fieldValidation) as Full & Namespace
  return change(call, {
    next(old) {
      const namespace = old as Full & Namespace
      namespace.spec = { ...namespace.spec, finalizers: wanted.spec?.finalizers ?? [] }
      namespace.metadata.resourceVersion = wanted.metadata.resourceVersion ?? ''
      if (wanted.metadata.uid) namespace.metadata.uid = wanted.metadata.uid
      return namespace
    },
    part: 'spec', fields: 'update', options, attempts: ATTEMPTS,
  })
}
