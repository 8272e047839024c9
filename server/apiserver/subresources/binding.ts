/** `pods/binding`: the scheduler gives a pod its node, once. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Binding, KubeObject, Pod } from '#api/types/index.ts'
import { notSupported, required, type FieldError } from '../field-error.ts'
import { jsonResponse } from '../http/response.ts'
import { badRequest, conflict, invalid, noSuchResource } from '../http/status.ts'
import { timestamp } from '../storage/object-meta.ts'
import { admitFully } from '../verbs/admit.ts'
import { readBody } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { changeObject } from '../verbs/change.ts'
import { admissionOptions, parseWriteOptions } from '../verbs/options.ts'
import type { Full } from '../verbs/stored.ts'

const BINDING = { group: '', version: 'v1', kind: 'Binding' }
const ATTEMPTS = 16

export async function binding(call: Call): Promise<ApiResponse> {
  const options = parseWriteOptions(call, 'CreateOptions')
  const wanted = readBody<Binding & KubeObject>(call, { model: 'Binding', expect: BINDING, validation: options.fieldValidation })
  if ((wanted.metadata?.name ?? '') !== call.info.name) throw badRequest('name in URL does not match name in Binding object')
  const errors = check(wanted)
  if (errors.length > 0) throw invalid(BINDING, wanted.metadata?.name ?? '', errors)
  await admitFully(call, { operation: 'CREATE', name: call.info.name, object: wanted, old: undefined, options: admissionOptions(call, 'CreateOptions'), dryRun: options.dryRun, as: { ...BINDING, model: 'Binding' } })
  await changeObject(call, { next: (old) => bind(call, old as Full & Pod, wanted), part: 'raw', fields: 'update', options, attempts: ATTEMPTS })
  return jsonResponse({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201)
}

/** POST to `bindings` itself: the pod is the one the body names. */
export async function bindNamed(call: Call): Promise<ApiResponse> {
  const { fieldValidation } = parseWriteOptions(call, 'CreateOptions')
  const { metadata } = readBody<Binding & KubeObject>(call, { model: 'Binding', expect: BINDING, validation: fieldValidation })
  const row = call.parts.rows.find('', 'v1', 'pods')
  if (call.info.namespace === '' || !row) throw noSuchResource()
  if (metadata?.namespace && metadata.namespace !== call.info.namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  if (!metadata?.name) throw badRequest('name is required')
  return binding({ ...call, row, info: { ...call.info, resource: 'pods', subresource: 'binding', name: metadata.name } })
}

function check(wanted: Binding): FieldError[] {
  const errors: FieldError[] = []
  const kind = wanted.target?.kind ?? ''
  if (kind !== '' && kind !== 'Node') errors.push(notSupported('target.kind', kind, ['Node', '<empty>']))
  if (!wanted.target?.name) errors.push(required('target.name'))
  return errors
}

function bind(call: Call, pod: Full & Pod, wanted: Binding): Full {
  const name = call.info.name
  const refuse = (because: string) => conflict({ group: '', resource: 'pods/binding' }, name, because)
  const { uid, resourceVersion, labels, annotations } = wanted.metadata ?? {}
  if (uid && uid !== pod.metadata.uid) throw refuse(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid ?? ''}`)
  if (resourceVersion && resourceVersion !== pod.metadata.resourceVersion) throw refuse(`Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${pod.metadata.resourceVersion ?? ''}`)
  if (pod.metadata.deletionTimestamp !== undefined) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`)
  if (pod.spec?.nodeName) throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`)
  if ((pod.spec?.schedulingGates ?? []).length > 0) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`)
  if (pod.spec) pod.spec.nodeName = wanted.target.name ?? ''
  if (labels) pod.metadata.labels = { ...pod.metadata.labels, ...labels }
  if (annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations }
  const status = (pod.status ??= {})
  status.conditions = [
    ...(status.conditions ?? []).filter((c) => c.type !== 'PodScheduled'),
    { type: 'PodScheduled', status: 'True', lastTransitionTime: timestamp(call.parts.clock.nowMs()) },
  ]
  pod.metadata.resourceVersion = ''
  return pod
}
