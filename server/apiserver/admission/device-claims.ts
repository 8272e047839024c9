/**
 * What device claims, their templates and device classes need beyond their own fields: expressions that compile (DRA's CEL) and do not cost too much, and for
 * `adminAccess` a namespace that allows it (KEP-5018). Upstream has both in the kinds' strategies; here they wait for CEL and a look-up.
 */
import type { DeviceClass, DeviceRequest, DeviceSelector, Namespace, ResourceClaimTemplate, ResourceV1ResourceClaim as ResourceClaim } from '#api/types/index.ts'
import { NAMESPACES } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { forbidden, invalid as invalidField, type FieldError } from '../field-error.ts'
import { invalid } from '../http/status.ts'

type Cel = typeof import('#api/cel/index.ts')

const ADMIN_LABEL = 'resource.kubernetes.io/admin-access'

interface Selectors { at: string; selectors: readonly DeviceSelector[] | undefined }

export const deviceClaims: AdmissionPlugin = {
  name: 'DeviceClaims',
  validate(request, api) {
    const { ref, subresource, operation } = request
    if (ref.group !== 'resource.k8s.io' || (operation !== 'CREATE' && operation !== 'UPDATE')) return undefined
    if (subresource === 'status' && ref.resource === 'resourceclaims') return checkStatus(request, api)
    return subresource === '' ? check(request, api) : undefined
  },
}

async function check(request: AdmissionRequest, api: AdmissionApi): Promise<undefined> {
  const errors: FieldError[] = []
  const requests = requestsOf(request)
  // The spec of what is stored cannot change.
  const admin = requests && request.operation === 'CREATE' ? requests.list.findIndex(wantsAdmin) : -1
  if (admin >= 0) errors.push(...await adminErrors(`spec.devices.requests[${admin}].adminAccess`, request.namespace, api))
  const all = selectorsOf(request, requests).filter(({ selectors }) => (selectors ?? []).length > 0)
  if (all.length > 0) {
    const cel = await import('#api/cel/index.ts')
    for (const { at, selectors = [] } of all) for (const [i, { cel: expression }] of selectors.entries()) errors.push(...expressionErrors(cel, `${at}[${i}].cel.expression`, expression?.expression ?? ''))
  }
  if (errors.length > 0) throw invalid(request.kind, request.name, errors)
  return undefined
}

/** An allocation that came with it keeps it. */
async function checkStatus({ object, old, kind, name, namespace }: AdmissionRequest, api: AdmissionApi): Promise<undefined> {
  const granted = (claim: unknown): number => ((claim as ResourceClaim | undefined)?.status?.allocation?.devices?.results ?? []).findIndex((r) => r.adminAccess === true)
  const result = granted(object)
  if (result < 0 || granted(old) >= 0) return
  const errors = await adminErrors(`status.allocation.devices.results[${result}].adminAccess`, namespace, api)
  if (errors.length > 0) throw invalid(kind, name, errors)
}

async function adminErrors(at: string, name: string, api: AdmissionApi): Promise<FieldError[]> {
  const namespace = await api.client.get<Namespace>(NAMESPACES, name)
  return namespace.metadata.labels?.[ADMIN_LABEL] === 'true' ? [] : [forbidden(at, `admin access to devices requires the \`${ADMIN_LABEL}: true\` label on the containing namespace`)]
}

const wantsAdmin = ({ exactly }: DeviceRequest): boolean => exactly?.adminAccess === true

function requestsOf({ ref, object }: AdmissionRequest): { at: string; list: readonly DeviceRequest[] } | undefined {
  if (ref.resource === 'resourceclaims') return { at: 'spec.devices.requests', list: (object as ResourceClaim).spec?.devices?.requests ?? [] }
  if (ref.resource === 'resourceclaimtemplates') return { at: 'spec.spec.devices.requests', list: (object as ResourceClaimTemplate).spec?.spec?.devices?.requests ?? [] }
  return undefined
}

function selectorsOf({ ref, object, operation }: AdmissionRequest, requests: ReturnType<typeof requestsOf>): Selectors[] {
  if (ref.resource === 'deviceclasses') return [{ at: 'spec.selectors', selectors: (object as DeviceClass).spec?.selectors }]
  // An update of a claim changes no expression.
  if (!requests || operation !== 'CREATE') return []
  return requests.list.flatMap(({ exactly, firstAvailable }, i) => [
    { at: `${requests.at}[${i}].exactly.selectors`, selectors: exactly?.selectors },
    ...(firstAvailable ?? []).map((sub, j) => ({ at: `${requests.at}[${i}].firstAvailable[${j}].selectors`, selectors: sub.selectors })),
  ])
}

function expressionErrors(cel: Cel, at: string, expression: string): FieldError[] {
  const made = cel.compileSelector(expression)
  if (made.ok) return cel.selectorCost(made.program) > cel.SELECTOR_COST_MAX ? [forbidden(at, 'too complex, exceeds cost limit')] : []
  const got = made.kind === 'result' ? /but got (.+)$/.exec(made.error)?.[1] : undefined
  return [invalidField(at, expression, got !== undefined ? `must evaluate to bool or the unknown type, not ${got}` : `${made.kind === 'program' ? 'program instantiation' : 'compilation'} failed: ${made.error}`)]
}
