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
import { changeObject, preconditionFailed } from '../verbs/change.ts'
import { admissionOptions, parseWriteOptions } from '../verbs/options.ts'
import type { Full } from '../verbs/stored.ts'

const BINDING = { group: '', version: 'v1', kind: 'Binding' }
const ATTEMPTS = 16

export const binding = (call: Call): Promise<ApiResponse> => post(call, true)

/** `meant`: the uid in the body is that of the pod. */
async function post(call: Call, meant: boolean): Promise<ApiResponse> {
  const options = parseWriteOptions(call, 'CreateOptions')
  const wanted = readBody<Binding & KubeObject>(call, { model: 'Binding', expect: BINDING, validation: options.fieldValidation })
  if (wanted.metadata?.namespace && wanted.metadata.namespace !== call.info.namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  if (wanted.metadata && !meant) delete wanted.metadata.uid
  if ((wanted.metadata?.name ?? '') !== call.info.name) throw badRequest('name in URL does not match name in Binding object')
  const errors = check(wanted)
  if (errors.length > 0) throw invalid(BINDING, wanted.metadata?.name ?? '', errors)
  await admitFully(call, { operation: 'CREATE', name: call.info.name, object: wanted, old: undefined, options: admissionOptions(call, 'CreateOptions'), dryRun: options.dryRun, as: { ...BINDING, model: 'Binding' } })
  await changeObject(call, { next: (_held, copy) => bind(call, copy() as Full & Pod, wanted), part: 'raw', fields: 'apply', options, attempts: ATTEMPTS })
  return jsonResponse({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201)
}

/** POST to `bindings` itself: the pod is the one the body names, whatever its uid (upstream wipes it, as from all that is created). */
export async function bindNamed(call: Call): Promise<ApiResponse> {
  const { fieldValidation } = parseWriteOptions(call, 'CreateOptions')
  const { metadata } = readBody<Binding & KubeObject>(call, { model: 'Binding', expect: BINDING, validation: fieldValidation })
  const row = call.parts.rows.find('', 'v1', 'pods')
  if (call.info.namespace === '' || !row) throw noSuchResource()
  if (metadata?.namespace && metadata.namespace !== call.info.namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  if (!metadata?.name) throw badRequest('Name parameter required.')
  return post({ ...call, row, info: { ...call.info, resource: 'pods', subresource: 'binding', name: metadata.name } }, false)
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
  if (uid && uid !== pod.metadata.uid) throw preconditionFailed(call, 'UID', uid, pod.metadata.uid ?? '')
  if (resourceVersion && resourceVersion !== pod.metadata.resourceVersion) throw preconditionFailed(call, 'ResourceVersion', resourceVersion, pod.metadata.resourceVersion ?? '')
  if (pod.metadata.deletionTimestamp !== undefined) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`)
  if (pod.spec?.nodeName) throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`)
  if ((pod.spec?.schedulingGates ?? []).length > 0) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`)
  if (pod.spec) pod.spec.nodeName = wanted.target.name ?? ''
  if (labels) pod.metadata.labels = { ...pod.metadata.labels, ...labels }
  if (annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations }
  const status = (pod.status ??= {})
  delete status.nominatedNodeName
  status.conditions = [
    ...(status.conditions ?? []).filter((c) => c.type !== 'PodScheduled'),
    { type: 'PodScheduled', status: 'True', lastTransitionTime: timestamp(call.parts.clock.nowMs()) },
  ]
  pod.metadata.resourceVersion = ''
  return pod
}
