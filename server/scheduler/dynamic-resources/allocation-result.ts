/** What was chosen for a claim, as its status has it. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { AllocationResult, DeviceAllocationConfiguration, NodeSelector, NodeSelectorRequirement } from '#api/types/index.ts'
import { formatQuantity } from '#api/types/quantity.ts'
import type { Consumption } from './capacity.ts'
import type { Claim } from './device-lookup.ts'
import { placeOf, type PoolDevice } from './pools.ts'
import type { Wanted } from './requests.ts'

export interface Choice {
  readonly way: Wanted
  readonly device: PoolDevice
  /** Undefined: it is given as a whole. */
  readonly share: Consumption | undefined
  /** Of the counters that devices of its pool share it takes its part. */
  readonly counts: boolean
}

/** `selected`: of each request, the way in which it is met. `newShareId`: each share has one of its own. */
export function allocationOf(claim: Claim, choices: readonly Choice[], selected: readonly Wanted[], { on, newShareId }: { on: string; newShareId: () => string }): AllocationResult {
  const config = configurationOf(claim, selected)
  const nodeSelector = nodesOf(choices, on)
  const results = choices.map(({ way, device: { driver, pool, device }, share }) => ({
    request: way.name, driver, pool, device: device.name, ...(way.adminAccess && { adminAccess: true }), ...(way.tolerations.length > 0 && { tolerations: [...way.tolerations] }),
    ...(device.bindingConditions?.length && { bindingConditions: device.bindingConditions }), ...(device.bindingFailureConditions?.length && { bindingFailureConditions: device.bindingFailureConditions }),
    ...(share && { shareID: newShareId() }), ...(share && share.size > 0 && { consumedCapacity: Object.fromEntries([...share].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, amount]) => [name, formatQuantity(amount)])) }),
  }))
  return { devices: { results, ...(config.length > 0 && { config }) }, ...(nodeSelector && { nodeSelector }) }
}

/** The class's, then the claim's: drivers go by their order. */
function configurationOf(claim: Claim, selected: readonly Wanted[]): DeviceAllocationConfiguration[] {
  const config: DeviceAllocationConfiguration[] = []
  for (const [i, { className, deviceClass }] of selected.entries()) {
    if (selected.findIndex((way) => way.className === className) < i) continue
    const requests = selected.filter((way) => way.className === className).map((way) => way.name)
    for (const { opaque } of deviceClass?.spec.config ?? []) config.push({ source: 'FromClass', requests: [...requests], ...(opaque && { opaque }) })
  }
  for (const { requests = [], opaque } of claim.spec.devices?.config ?? []) {
    if (requests.length > 0 && !selected.some((way) => requests.includes(way.request) || requests.includes(way.name))) continue
    config.push({ source: 'FromClaim', ...(requests.length > 0 && { requests: [...requests] }), ...(opaque && { opaque }) })
  }
  return config
}

/** Where the devices are: on one node, those of a network that stay with the node they are given to, on all nodes of a network, or anywhere. */
function nodesOf(choices: readonly Choice[], on: string): NodeSelector | undefined {
  const fields: NodeSelectorRequirement[] = []
  const expressions: NodeSelectorRequirement[] = []
  const add = (to: NodeSelectorRequirement[], more: readonly NodeSelectorRequirement[] = []) => { for (const one of more) if (!to.some((known) => isDeepStrictEqual(known, one))) to.push(one) }
  for (const { device } of choices) {
    const { nodeName, nodeSelector } = placeOf(device)
    if (nodeName || device.device.bindsToNode) return { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [on] }] }] }
    add(fields, nodeSelector?.nodeSelectorTerms[0]?.matchFields)
    add(expressions, nodeSelector?.nodeSelectorTerms[0]?.matchExpressions)
  }
  if (fields.length === 0 && expressions.length === 0) return undefined
  return { nodeSelectorTerms: [{ ...(fields.length > 0 && { matchFields: fields }), ...(expressions.length > 0 && { matchExpressions: expressions }) }] }
}
