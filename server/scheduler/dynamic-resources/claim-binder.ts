/**
 * Claims of a pod that has found its node (upstream's dynamicresources plugin, Reserve to PreBind): their devices are promised at once, so that nobody
 * else is given them; then the claims say which they are, and for whom they are kept.
 */
import { isReason, type Client, type Informers } from '#api/client/client.ts'
import { DEVICE_CLASSES, keyOf, PODS, RESOURCE_CLAIMS, RESOURCE_SLICES, type AllocationResult, type ContainerExtendedResourceRequest, type DeviceClass, type Pod, type ResourceClaimStatus, type ResourceSlice, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { matchesNodeSelector } from '#api/types/node-selector.ts'
import type { Clock } from '#base/clock.ts'
import { assert, CodedError } from '#base/errors.ts'
import { uuid, type Random } from '#base/random.ts'
import { podInfo, type NodeInfo, type PodInfo } from '../node-info.ts'
import type { Claim, DeviceLookup } from './device-lookup.ts'
import { hasBindingConditions, isHopeless } from './binding-conditions.ts'
import { extendedResources } from './extended-resources.ts'
import { PendingAllocations } from './pending-allocations.ts'
import { nodeClaims } from './node-claims.ts'
import { claimsOf, podClaims } from './pod-claims.ts'
import { untilReady } from './until-ready.ts'
import { loadSelectors, type SelectorEngine } from './selectors.ts'

/** Of one pod: the claims that are to be kept for it; `allocation`: what is to be given to one that has nothing. */
export interface PromisedClaims {
  readonly pod: Stored<Pod>
  readonly claims: readonly { readonly claim: Claim; readonly allocation: AllocationResult | undefined }[]
  readonly extended: PromisedExtended | undefined
}

/** The claim for its extended resources. */
interface PromisedExtended {
  /** As it is to be made. */
  readonly claim: Claim
  readonly allocation: AllocationResult
  readonly mappings: readonly ContainerExtendedResourceRequest[]
  /** Once it is there. */
  made: Claim | undefined
}

export interface ClaimBinderOptions { client: Client; informers: Informers; clock: Clock; random: Random; /** Loads what answers for selectors, once it is needed. */ selectors?: () => Promise<SelectorEngine> }

export interface ClaimBinder {
  /** Resolves when what is known of claims and devices is complete. */
  readonly synced: Promise<unknown>
  readonly lookup: DeviceLookup
  /** Whether rules ask about this pod what they cannot be told before `ready`. */
  concerns(pod: Stored<Pod>): boolean
  /** Whether claims of it are not there yet, or no longer: until they are it is not tried, and nobody is told of it, as upstream. */
  awaits(pod: Stored<Pod>): boolean
  ready(): Promise<void>
  /** Undefined: the pod has no claims. Until it is bound or forgotten nobody else is given these devices. */
  assume(pod: PodInfo, node: NodeInfo): PromisedClaims | undefined
  /** Resolves when the claims say so, and their devices are ready for the pod; `waits` is called before that is waited for. */
  bind(promised: PromisedClaims, waits: () => void, signal: AbortSignal): Promise<void>
  /** It could not be bound: what was written is taken back, as far as others may want it. */
  forget(promised: PromisedClaims): Promise<void>
  /** A claim that has its devices where the pod cannot go, and that nobody else uses, gives them back; one that was made for it in vain goes (upstream's PostFilter). True: one did. */
  release(pod: PodInfo, nodes: readonly NodeInfo[]): Promise<boolean>
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
    deviceClasses: () => classes.list(),
    slices: () => slices.list(),
    nowMs: () => clock.nowMs(),
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

  /** The claim is made, given its devices, and the pod told which of its requests are met by what. */
  const make = async (pod: Stored<Pod>, extended: PromisedExtended, signal: AbortSignal): Promise<Claim> => {
    const { spec, metadata: { name: _, uid, resourceVersion: _v, creationTimestamp: _t, ...metadata } } = extended.claim
    const made = await client.create<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata, spec }, { signal })
    extended.made = made
    pending.promise(made.metadata.uid, extended.allocation)
    pending.forget(uid)
    const written = await write(made, keep(pod, extended.allocation), signal)
    pending.wrote(written, claims.get(keyOf(made)))
    await client.patch(PODS, pod.metadata.name, pod.metadata.namespace, 'application/strategic-merge-patch+json', {
      metadata: { uid: pod.metadata.uid }, status: { extendedResourceClaimStatus: { requestMappings: extended.mappings, resourceClaimName: made.metadata.name } },
    }, { subresource: 'status', signal })
    return written
  }

  /** What was made for a pod that did not get there. Its devices are nobody's once it is gone, whether that is heard of or not. */
  const remove = async (claim: Claim): Promise<void> => {
    const { name, namespace, uid } = claim.metadata
    try {
      for (let conflicts = 0; ; conflicts++) {
        try {
          const now = await client.get<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, name, namespace)
          if (now.metadata.uid !== uid) break
          if (now.metadata.finalizers?.includes(FINALIZER)) await client.update<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { ...now, metadata: { ...now.metadata, finalizers: now.metadata.finalizers.filter((f) => f !== FINALIZER) } })
          await client.delete(RESOURCE_CLAIMS, name, namespace, { preconditions: { uid } })
          break
        } catch (error) {
          if (!isReason(error, 'Conflict') || conflicts >= CONFLICTS_MAX) throw error
        }
      }
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error
    }
    pending.saw(uid, undefined)
  }

  return {
    synced: Promise.all([claims.synced, classes.synced, slices.synced]),
    lookup,
    concerns: (pod) => (pod.spec?.resourceClaims ?? []).length > 0 || (mayBeExtended(pod) && extendedResources(podInfo(pod), lookup) !== undefined),
    awaits: (pod) => 'problem' in claimsOf(pod, lookup),
    async ready() {
      engine.selectors ??= await selectors()
    },
    assume(info, node) {
      const wanted = podClaims(info, lookup)
      if (!wanted || 'problem' in wanted) return undefined
      const { claims: waiting, toMake, allocation } = nodeClaims(info, wanted, lookup, () => uuid(random))(node)
      assert(allocation.ok, 'devices that were there a moment ago are not')
      const given = waiting.flatMap((claim, i) => {
        const result = allocation.results[i]
        return result ? [{ claim, allocation: result }] : []
      })
      for (const { claim, allocation: result } of given) pending.promise(claim.metadata.uid, result)
      const last = toMake && given.pop()
      return {
        pod: info.pod, claims: [...wanted.allocated.map((claim) => ({ claim, allocation: undefined })), ...given],
        extended: last && { ...last, mappings: toMake.mappings, made: undefined },
      }
    },
    async bind({ pod, claims: promised, extended }, waits, signal) {
      const written: Claim[] = []
      for (const { claim, allocation } of promised) {
        const now = await write(claim, keep(pod, allocation), signal)
        if (allocation) pending.wrote(now, claims.get(keyOf(claim)))
        written.push(now)
      }
      if (extended) written.push(await make(pod, extended, signal))
      const toBeReady = written.filter(hasBindingConditions)
      if (toBeReady.length === 0) return
      waits()
      await untilReady(toBeReady, pod.metadata.uid, { claims, clock, signal })
    },
    async forget({ pod, claims: promised, extended }) {
      // What was not written is free again, whatever becomes of the writes below.
      for (const { claim, allocation } of promised) if (allocation) pending.forget(claim.metadata.uid)
      for (const claim of [extended?.claim, extended?.made]) if (claim) pending.forget(claim.metadata.uid)
      const unreserve = (now: Claim): Promise<ResourceClaimStatus | undefined> => {
        const reservedFor = (now.status?.reservedFor ?? []).filter((r) => r.uid !== pod.metadata.uid)
        return Promise.resolve(reservedFor.length === (now.status?.reservedFor ?? []).length ? undefined : { ...now.status, reservedFor })
      }
      const undone = await Promise.allSettled([...promised.map(({ claim }) => write(claim, unreserve)), ...(extended?.made ? [remove(extended.made)] : [])])
      for (const each of undone) if (each.status === 'rejected' && !isReason(each.reason, 'NotFound')) throw each.reason
    },
    async release(info, nodes) {
      const wanted = podClaims(info, lookup)
      if (!wanted || 'problem' in wanted) return false
      const { pod } = info
      const stranded = wanted.allocated.find((claim) => {
        const selector = claim.status?.allocation?.nodeSelector
        return (isHopeless(claim, clock.nowMs()) || (selector && nodes.some(({ node }) => !matchesNodeSelector(selector, node)))) && (claim.status?.reservedFor ?? []).every((r) => r.uid === pod.metadata.uid)
      })
      const leftover = wanted.extended?.leftover
      if (!stranded && leftover) await remove(leftover)
      if (!stranded) return leftover !== undefined
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
        claims.onListed((version) => {
          if (pending.listed(BigInt(version), new Set(claims.list().map((claim) => claim.metadata.uid)))) listener()
        }),
        classes.onChange(() => listener()),
        slices.onChange(() => listener()),
      ]
      return () => { for (const off of offs) off() }
    },
  }
}

const mayBeExtended = ({ spec }: Stored<Pod>): boolean => [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].some(({ resources }) => Object.keys(resources?.requests ?? {}).some((name) => name.includes('/')))
