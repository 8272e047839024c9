/** PUT: the whole object, at the resourceVersion it names, or whatever is there when it names none. */
import type { ApiResponse } from '#api/client/transport.ts'
import { readObject } from './body.ts'
import { readKey, type Full } from './stored.ts'
import type { Call } from './call.ts'
import { anotherObject, change, UNCONDITIONAL_ATTEMPTS } from './change.ts'
import { insert } from './create.ts'
import { parseWriteOptions, type WriteOptions } from './options.ts'
import { assertRevision } from './validity.ts'

/** Kinds that a PUT may create (upstream's AllowCreateOnUpdate). */
const CREATE_ON_UPDATE: ReadonlySet<string> = new Set([
  '/endpoints', '/events', '/limitranges', '/services', 'coordination.k8s.io/leases', 'coordination.k8s.io/leasecandidates', 'events.k8s.io/events',
  'node.k8s.io/runtimeclasses', 'rbac.authorization.k8s.io/roles', 'rbac.authorization.k8s.io/rolebindings', 'rbac.authorization.k8s.io/clusterroles', 'rbac.authorization.k8s.io/clusterrolebindings',
])

export async function update(call: Call): Promise<ApiResponse> {
  const { row, info, parts } = call
  const options = parseWriteOptions(call, 'UpdateOptions')
  const object = readObject(call, options.fieldValidation)
  if (CREATE_ON_UPDATE.has(`${row.ref.group}/${row.ref.resource}`) && !(await readKey(parts, row, info.namespace, info.name))) {
    // Whoever means an object that is gone is told so; of which revision it was does not matter.
    if (object.metadata.uid) throw anotherObject(call, object.metadata.uid)
    delete object.metadata.resourceVersion
    return insert(call, object, options, 'Update')
  }
  return change(call, { next: replacement(call, object, options), part: 'main', fields: 'update', options, attempts: UNCONDITIONAL_ATTEMPTS })
}

/** What is not there is not found, whatever revision is named or not: that is asked for once there is something to replace. */
export function replacement(call: Call, object: Full, { fieldValidation }: WriteOptions): () => Full {
  let unused: Full | undefined = object
  return () => {
    // The first attempt has changed what was read: another one, which few need, reads it again.
    const wanted = unused ?? readObject(call, fieldValidation)
    unused = undefined
    assertRevision(call, wanted)
    return wanted
  }
}
