/** `namespaces/finalize`: the namespace with its spec.finalizers, of which the last one gone lets the namespace go; the status stays. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Namespace } from '#api/types/index.ts'
import { checkQualifiedName } from '#api/types/index.ts'
import { named } from '../kinds/check.ts'
import { standardFinalizer, validateMetaUpdate } from '../kinds/object-meta.ts'
import { cloneJson } from '../storage/clone.ts'
import { readObject } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { change, type Rules } from '../verbs/change.ts'
import { parseWriteOptions } from '../verbs/options.ts'
import type { Full } from '../verbs/stored.ts'

const ATTEMPTS = 16

type NamespaceObject = Full & Namespace

const RULES: Rules = {
  prepare(namespace: NamespaceObject, { status }: NamespaceObject) {
    if (status) namespace.status = cloneJson(status)
    else delete namespace.status
  },
  validate: ({ metadata, spec }: NamespaceObject, old) => [
    ...validateMetaUpdate(metadata, old.metadata),
    ...(spec?.finalizers ?? []).flatMap((name, i) => {
      const at = `spec.finalizers[${i}]`
      return [...named(at, name, checkQualifiedName), ...standardFinalizer(at, name)]
    }),
  ],
}

export async function finalizeNamespace(call: Call): Promise<ApiResponse> {
  const options = parseWriteOptions(call, 'UpdateOptions')
  const wanted = readObject(call, options.fieldValidation)
  // What is sent of the status is nobody's.
  const next = (old: NamespaceObject): Full => ({ ...cloneJson(wanted), ...(old.status && { status: old.status }) })
  return change(call, { next, part: 'spec', rules: RULES, fields: 'update', options, attempts: ATTEMPTS })
}
