/**
 * Claims of a pod that has found its node (upstream's dynamicresources plugin, Reserve to PreBind): their devices are promised at once, so that nobody
 * else is given them; then the claims say which they are, and for whom they are kept.
 */
import { isReason, type Client, type Informers } from '#api/client/client.ts'
import { DEVICE_CLASSES, keyOf, RESOURCE_CLAIMS, RESOURCE_SLICES, type AllocationResult, type DeviceClass, type Pod, type ResourceClaimStatus, type ResourceSlice, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { matchesNodeSelector } from '#api/types/node-selector.ts'
import type { Clock } from '#base/clock.ts'
import { assert, CodedError } from '#base/errors.ts'
import { uuid, type Random } from '#base/random.ts'
import type { NodeInfo } from '../node-info.ts'
import { allocate } from './allocate.ts'
import type { Claim, DeviceLookup } from './device-lookup.ts'
import { devicesInUse } from './in-use.ts'
import { PendingAllocations } from './pending-allocations.ts'
import { podClaims } from './pod-claims.ts'
import { poolsOf } from './pools.ts'
import { loadSelectors, type SelectorEngine } from './selectors.ts'

/** Of one pod: the claims that are to be kept for it; `allocation`: what is to be given to one that has nothing. */
export interface PromisedClaims { readonly pod: Stored<Pod>; readonly claims: readonly { readonly claim: Claim; readonly allocation: AllocationResult | undefined }[] }

export interface ClaimBinderOptions { client: Client; informers: Informers; clock: Clock; random: Random; /** Loads what answers for selectors, once it is needed. */ selectors?: () => Promise<SelectorEngine> }

export interface ClaimBinder {
  /** Resolves when what is known of claims and devices is complete. */
  readonly synced: Promise<unknown>
  readonly lookup: DeviceLookup
  /** Resolves when rules may ask about pods that have claims. */
  ready(): Promise<void>
  /** Undefined: the pod has no claims. Until it is bound or forgotten nobody else is given these devices. */
  assume(pod: Stored<Pod>, node: NodeInfo): PromisedClaims | undefined
  /** Resolves when the claims say so. */
  bind(promised: PromisedClaims, signal: AbortSignal): Promise<void>
  /** It could not be bound: what was written is taken back, as far as others may want it. */
  forget(promised: PromisedClaims): Promise<void>
  /** A claim that has its devices where the pod cannot go, and that nobody else uses, gives them back (upstream's PostFilter). True: one did. */
  release(pod: Stored<Pod>, nodes: readonly NodeInfo[]): Promise<boolean>
  /** Something changed that may let a pod be placed. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
}

const FINALIZER = 'resource.kubernetes.io/delete-protection'
/** Others write the same claim: of drivers' words, say. */
const CONFLICTS_MAX = 5

export function createClaimBinder({ client, informers, clock, random, selectors = loadSelectors }: ClaimBinderOptions): ClaimBinder {
  const claims = informers.of<ResourceV1ResourceClaim>(RESOURCE_CLAIMS)
  const classes = informers.of<DeviceClass>(DEVICE_CLASSES)
  const slices = informers.of<ResourceSlice>(RESOURCE_SLICES)
  const pending = new PendingAllocations()
  const engine: { selectors?: SelectorEngine } = {}
  const lookup: DeviceLookup = {
    claim: (namespace, name) => claims.get(`${namespace}/${name}`),
    claims: () => claims.list(),
    pending: () => pending.all,
    deviceClass: (name) => classes.get(name),
    slices: () => slices.list(),
    get selectors() {
      assert(engine.selectors, 'selectors are asked for before they are there')
      return engine.selectors
    },
  }

  /** The claim as it is now, changed until nobody came in between. `change` undefined: there is nothing to do. */
  const write = async (claim: Claim, change: (now: Claim) => Promise<ResourceClaimStatus | undefined>, signal?: AbortSignal): Promise<Claim> => {
    for (let conflicts = 0; ; conflicts++) {
      let now = await client.get<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, claim.metadata.name, claim.metadata.namespace, signal)
      if (now.metadata.uid !== claim.metadata.uid) throw new CodedError('CLAIM_GONE', `claim ${keyOf(claim)} got deleted in the meantime`)
      try {
        const status = await change(now)
        if (!status) return now
        // Before it has anything to lose.
        const { finalizers = [] } = now.metadata
        if (status.allocation && !finalizers.includes(FINALIZER)) now = await client.update<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { ...now, metadata: { ...now.metadata, finalizers: [...finalizers, FINALIZER] } }, signal ? { signal } : {})
        return await client.update<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { ...now, status }, { subresource: 'status', ...(signal && { signal }) })
      } catch (error) {
        if (!isReason(error, 'Conflict') || conflicts >= CONFLICTS_MAX) throw error
      }
    }
  }

  const keep = (pod: Stored<Pod>, allocation: AllocationResult | undefined) => (now: Claim): Promise<ResourceClaimStatus | undefined> => {
    if (now.metadata.deletionTimestamp !== undefined) throw new CodedError('CLAIM_GONE', `claim ${keyOf(now)} got deleted in the meantime`)
    if (allocation && now.status?.allocation) throw new CodedError('CLAIM_TAKEN', `claim ${keyOf(now)} got allocated elsewhere in the meantime`)
    const given = allocation ? { ...allocation, allocationTimestamp: new Date(clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z') } : now.status?.allocation
    if (!given) throw new CodedError('CLAIM_TAKEN', `claim ${keyOf(now)} got deallocated elsewhere in the meantime`)
    const { uid, name } = pod.metadata
    if (now.status?.reservedFor?.some((r) => r.uid === uid)) return Promise.resolve(undefined)
    return Promise.resolve({ ...now.status, allocation: given, reservedFor: [...(now.status?.reservedFor ?? []), { resource: 'pods', name, uid }] })
  }

  return {
    synced: Promise.all([claims.synced, classes.synced, slices.synced]),
    lookup,
    async ready() {
      engine.selectors ??= await selectors()
    },
    assume(pod, { node }) {
      const wanted = podClaims(pod, lookup)
      if (!wanted || 'problem' in wanted) return undefined
      const found = allocate({ node, claims: wanted.waiting, pools: poolsOf(lookup.slices()), inUse: devicesInUse(lookup), lookup, newShareId: () => uuid(random) })
      assert(found.ok, 'devices that were there a moment ago are not')
      for (const [i, { metadata }] of wanted.waiting.entries()) {
        const allocation = found.results[i]
        if (allocation) pending.promise(metadata.uid, allocation)
      }
      return { pod, claims: [...wanted.allocated.map((claim) => ({ claim, allocation: undefined })), ...wanted.waiting.map((claim, i) => ({ claim, allocation: found.results[i] }))] }
    },
    async bind(promised, signal) {
      for (const { claim, allocation } of promised.claims) {
        const written = await write(claim, keep(promised.pod, allocation), signal)
        if (allocation) pending.wrote(written, claims.get(keyOf(claim)))
      }
    },
    async forget({ pod, claims: promised }) {
      for (const { claim, allocation } of promised) {
        if (allocation) pending.forget(claim.metadata.uid)
        await write(claim, (now) => {
          const reservedFor = (now.status?.reservedFor ?? []).filter((r) => r.uid !== pod.metadata.uid)
          return Promise.resolve(reservedFor.length === (now.status?.reservedFor ?? []).length ? undefined : { ...now.status, reservedFor })
        })
      }
    },
    async release(pod, nodes) {
      const wanted = podClaims(pod, lookup)
      if (!wanted || 'problem' in wanted) return false
      const stranded = wanted.allocated.find(({ status }) => {
        const selector = status?.allocation?.nodeSelector
        return selector && nodes.some(({ node }) => !matchesNodeSelector(selector, node)) && (status.reservedFor ?? []).every((r) => r.uid === pod.metadata.uid)
      })
      if (!stranded) return false
      await write(stranded, (now) => Promise.resolve((now.status?.reservedFor ?? []).every((r) => r.uid === pod.metadata.uid) && now.status?.allocation ? {} : undefined))
      return true
    },
    onChange(listener) {
      const offs = [
        claims.onChange((before, after) => {
          if (before && before.metadata.uid !== after?.metadata.uid) pending.saw(before.metadata.uid, undefined)
          if (after) pending.saw(after.metadata.uid, after)
          listener()
        }),
        classes.onChange(() => listener()),
        slices.onChange(() => listener()),
      ]
      return () => { for (const off of offs) off() }
    },
  }
}
