/**
 * Who may write what of a claim's status (KEP-5004 and KEP-4817, gate DRAResourceClaimGranularStatusAuthorization): an allocation takes
 * the verb on `resourceclaims/binding`, what a driver says of its devices takes it on `resourceclaims/driver` of that driver's name.
 */
import type { AllocatedDeviceStatus, ResourceClaimStatus, ResourceV1ResourceClaim as ResourceClaim, UserInfo } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import type { Attributes } from '../auth.ts'
import { forbidden, type FieldError } from '../field-error.ts'
import { invalid, StatusError } from '../http/status.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { authorizeAttributes } from '../middleware/authorize.ts'

const NODE_NAME = 'authentication.kubernetes.io/node-name'

export const deviceClaimStatus: AdmissionPlugin = {
  name: 'DeviceClaimStatus',
  validate(request, api) {
    const { ref, subresource, operation } = request
    return ref.group === 'resource.k8s.io' && ref.resource === 'resourceclaims' && subresource === 'status' && operation === 'UPDATE' ? check(request, api) : undefined
  },
}

async function check(request: AdmissionRequest, api: AdmissionApi): Promise<undefined> {
  const { verb, user, namespace } = request
  const status = (request.object as ResourceClaim).status ?? {}
  const old = (request.old as ResourceClaim | undefined)?.status ?? {}
  const errors: FieldError[] = []
  if (!semanticEqual(status.allocation, old.allocation) || !semanticEqual(status.reservedFor, old.reservedFor)) {
    const refusal = await refusalOf(api, attributes(request, verb, 'binding', '', ''))
    if (refusal !== undefined) errors.push(forbidden('status.allocation', `changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="${verb}" permission: ${refusal}`))
  }
  // Without an allocation there are no devices to speak of.
  const drivers = status.allocation ? driversChanged(status, old) : []
  const verbs = [...(isOnNode(user, nodeOf(status)) ? [`associated-node:${verb}`] : []), `arbitrary-node:${verb}`]
  for (const driver of drivers) {
    const refusals: string[] = []
    for (const one of verbs) {
      const refusal = await refusalOf(api, attributes(request, one, 'driver', namespace, driver))
      if (refusal === undefined) break
      refusals.push(refusal)
    }
    if (refusals.length === verbs.length) errors.push(forbidden('status.devices', `changing status.devices requires resource="resourceclaims/driver", verb="[${verbs.join(' ')}]" permission: ${refusals[0] ?? ''}`))
  }
  if (errors.length > 0) throw invalid(request.kind, request.name, errors)
  return undefined
}

const attributes = ({ ref, user }: AdmissionRequest, verb: string, subresource: string, namespace: string, name: string): Attributes => ({ user, verb, resource: { group: ref.group, version: ref.version, resource: ref.resource, subresource, namespace, name } })

/** In the words of a 403; undefined: they may. */
async function refusalOf(api: AdmissionApi, asked: Attributes): Promise<string | undefined> {
  try {
    await authorizeAttributes(api.authorizer, asked)
    return undefined
  } catch (error) {
    if (error instanceof StatusError) return error.message
    throw error
  }
}

const idOf = ({ driver, pool, device, shareID }: AllocatedDeviceStatus): string => JSON.stringify([driver, pool, device, shareID ?? ''])

/** Drivers of devices whose status is new, another or gone, in order. */
function driversChanged(status: ResourceClaimStatus, old: ResourceClaimStatus): string[] {
  const before = new Map((old.devices ?? []).map((d) => [idOf(d), d]))
  const changed = new Set<string>()
  for (const device of status.devices ?? []) {
    const known = before.get(idOf(device))
    before.delete(idOf(device))
    if (!known || !semanticEqual(known, device)) changed.add(device.driver)
  }
  for (const { driver } of before.values()) changed.add(driver)
  return [...changed].toSorted()
}

/** The one node that an allocation is on; undefined: any that fits a selector. */
function nodeOf({ allocation }: ResourceClaimStatus): string | undefined {
  const [term, ...more] = allocation?.nodeSelector?.nodeSelectorTerms ?? []
  const [field, ...others] = term?.matchFields ?? []
  if (!field || more.length > 0 || others.length > 0 || (term?.matchExpressions ?? []).length > 0) return undefined
  return field.key === 'metadata.name' && field.operator === 'In' && field.values?.length === 1 ? field.values[0] : undefined
}

/** A service account whose token is bound to that node. */
function isOnNode({ name, extra }: UserInfo, node: string | undefined): boolean {
  const nodes = extra?.[NODE_NAME] ?? []
  return node !== undefined && name.startsWith('system:serviceaccount:') && nodes.length === 1 && nodes[0] === node
}
