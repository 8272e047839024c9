/** What the claims of a pod would be given on one node or another; with the one that is to be made there for extended resources. Pure. */
import type { NodeInfo, PodInfo } from '../node-info.ts'
import { allocate, type Allocation } from './allocate.ts'
import type { Claim, DeviceLookup } from './device-lookup.ts'
import { claimToMake, extendedClaim, type ExtendedClaim } from './extended-resources.ts'
import { devicesInUse } from './in-use.ts'
import type { PodClaims } from './pod-claims.ts'
import { poolsOf } from './pools.ts'

/** `claims`: in the order of the results; the one that is to be made is the last. */
export interface NodeClaims { readonly claims: readonly Claim[]; readonly toMake: ExtendedClaim | undefined; readonly allocation: Allocation }

/** `newId`: of claims and of shares, for one that will be carried out. */
export function nodeClaims({ pod }: Pick<PodInfo, 'pod'>, { waiting, extended }: Exclude<PodClaims, { problem: string }>, lookup: DeviceLookup, newId: () => string = () => ''): (on: NodeInfo) => NodeClaims {
  const inUse = devicesInUse(lookup)
  const pools = poolsOf(lookup.slices())
  return (on) => {
    const toMake = extended && extendedClaim(pod, on, extended)
    const claims = toMake ? [...waiting, claimToMake(pod, toMake.spec, newId())] : waiting
    return { claims, toMake, allocation: claims.length === 0 ? { ok: true, results: [] } : allocate({ node: on.node, claims, pools, inUse, lookup, newShareId: newId }) }
  }
}
