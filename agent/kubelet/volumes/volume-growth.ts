/**
 * Claims that were given more: once their disk has grown, the node makes the file system as large and says so in the claim
 * (upstream's node expansion, KEP-1790). What has to be done is read off the claim and its volume each time.
 */
import { PERSISTENT_VOLUME_CLAIMS, type ObjectReference, type PersistentVolume, type PersistentVolumeClaim, type PersistentVolumeClaimCondition, type Pod, type Stored } from '#api/types/index.ts'
import { compareQuantity, quantityValue } from '#api/types/quantity.ts'
import type { Client } from '#api/client/client.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { GRPC } from '#base/grpc/grpc-status.ts'
import { time } from '../time.ts'

/** What a claim and its volume say of its size. */
export interface Sizes { pv: Stored<PersistentVolume>; claim: Stored<PersistentVolumeClaim>; readonly: boolean }

export interface Growing extends Sizes {
  /** Makes the file system of the volume, which is mounted, as large as its disk has become. */
  expand: (sizeBytes: number) => Promise<void>
}

export interface VolumeGrowth {
  /** Rejects when it failed and it is worth trying again; what is refused for good is told in the claim. `isMounting`: whoever mounts it tells the pod what failed. */
  grow(pod: Stored<Pod>, growing: Growing, options: { isMounting: boolean }): Promise<void>
  /** This node uses it no more. */
  forget(pvName: string): void
}

/** `isTold`: another node has written it into the claim already (ReadWriteMany). `isLegacy`: of a resizer that does not tell states. */
export type GrowthDecision = { kind: 'none'; /** Nothing is left to be done for this size. */ done?: string } | { kind: 'readOnly' } | { kind: 'expand'; size: string; isTold: boolean; isLegacy: boolean }

/** States in which the node's turn has come. */
const NODES_TURN = new Set(['NodeResizePending', 'NodeResizeInProgress'])
/** Conditions that a finished resize ends. */
const RESIZE_CONDITIONS = new Set(['FileSystemResizePending', 'Resizing', 'ControllerResizeError', 'NodeResizeError'])
/** A resizer's word that nodes have nothing to do. */
const NODE_EXPANSION_NOT_REQUIRED = 'volume.kubernetes.io/node-expansion-not-required'
const codes = (...list: readonly number[]) => new Set(list.map((code) => `GRPC_${code}`))
/** What no repetition will change. */
export const INFEASIBLE = codes(GRPC.invalidArgument, GRPC.outOfRange, GRPC.notFound)
/** The driver cannot do it while the volume is in use. */
const IN_USE = codes(GRPC.failedPrecondition)

/** `knownSize`: as large this node has made it; undefined: not known. */
export function decideGrowth({ pv, claim, readonly }: Sizes, knownSize: string | undefined): GrowthDecision {
  const wanted = pv.spec?.capacity?.['storage']
  const told = claim.status?.capacity?.['storage']
  if (wanted === undefined || told === undefined) return { kind: 'none' }
  const isSmall = compareQuantity(told, wanted) < 0
  if (!isSmall && (knownSize === undefined || compareQuantity(knownSize, wanted) >= 0)) return { kind: 'none' }
  if (readonly) return { kind: 'readOnly' }
  const state = claim.status?.allocatedResourceStatuses?.['storage'] ?? ''
  const allocated = claim.status?.allocatedResources?.['storage']
  if (state === '' && allocated === undefined) return { kind: 'expand', size: wanted, isTold: !isSmall, isLegacy: true }
  const size = allocated ?? wanted
  if (NODES_TURN.has(state)) return { kind: 'expand', size, isTold: false, isLegacy: false }
  if (state !== '' || compareQuantity(told, size) < 0) return { kind: 'none' }
  const isEachNodes = (claim.spec?.accessModes?.includes('ReadWriteMany') ?? false) && claim.metadata.annotations?.[NODE_EXPANSION_NOT_REQUIRED] === undefined
  return isEachNodes ? { kind: 'expand', size, isTold: true, isLegacy: false } : { kind: 'none', done: size }
}

export function createVolumeGrowth({ client, events, clock, nodeName }: { client: Client; events: EventRecorder; clock: Clock; nodeName: string }): VolumeGrowth {
  /** By volume. */
  const sizes = new Map<string, string>()
  /** By volume: the size that its driver cannot give it while it is in use. */
  const inUse = new Map<string, string>()

  const tell = async ({ metadata, status }: Stored<PersistentVolumeClaim>, changes: { state: string | null; size?: string; error?: string }): Promise<Stored<PersistentVolumeClaim>> => {
    const before = status?.conditions ?? []
    const kept = changes.size === undefined ? before : before.filter((c) => !RESIZE_CONDITIONS.has(c.type))
    // One that is there stays as it is, as upstream's: with the words of the first failure.
    const isKnown = kept.some((c) => c.type === 'NodeResizeError' && c.status === 'True')
    const failed: PersistentVolumeClaimCondition[] = changes.error === undefined || isKnown ? [] : [{ type: 'NodeResizeError', status: 'True', lastTransitionTime: time(clock.nowMs()), message: changes.error }]
    return client.patch<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, metadata.name, metadata.namespace, 'application/merge-patch+json', {
      metadata: { resourceVersion: metadata.resourceVersion },
      status: { allocatedResourceStatuses: { storage: changes.state }, conditions: [...kept, ...failed], ...(changes.size !== undefined && { capacity: { storage: changes.size } }) },
    }, { subresource: 'status' })
  }

  return {
    forget(pvName) {
      sizes.delete(pvName)
      inUse.delete(pvName)
    },
    async grow(pod, growing, { isMounting }) {
      const { pv, claim } = growing
      const { name } = pv.metadata
      const decision = decideGrowth(growing, sizes.get(name))
      if (!sizes.has(name) && claim.status?.capacity?.['storage'] !== undefined) sizes.set(name, claim.status.capacity['storage'])
      if (decision.kind === 'none') {
        if (decision.done !== undefined) sizes.set(name, decision.done)
        return
      }
      const both = (type: 'Normal' | 'Warning', reason: string, message: string) => { for (const about of [referenceOf('Pod', pod), referenceOf('PersistentVolumeClaim', claim)]) events.event(about, type, reason, message) }
      if (decision.kind === 'readOnly') return both('Warning', 'FileSystemResizeFailed', `MountVolume.NodeExpandVolume failed for volume "${name}" requested read-only file system`)
      if (inUse.get(name) === decision.size) return
      const mayTell = !decision.isTold && !decision.isLegacy
      const begun = mayTell ? await tell(claim, { state: 'NodeResizeInProgress' }) : claim
      try {
        await growing.expand(quantityValue(decision.size))
      } catch (error) {
        const why = asError(error).message
        const is = (set: ReadonlySet<string>) => error instanceof CodedError && set.has(error.code)
        if (mayTell) await tell(begun, { state: is(INFEASIBLE) ? 'NodeResizeInfeasible' : 'NodeResizeInProgress', error: `failed to expand pvc with ${why}` })
        if (is(IN_USE)) {
          inUse.set(name, decision.size)
          return
        }
        if (!isMounting) events.event(referenceOf('Pod', pod), 'Warning', 'VolumeResizeFailed', `NodeExpandVolume.NodeExpandVolume failed for volume "${name}" : ${why}`)
        // The claim says so, and its pod begins with what there is.
        if (mayTell && is(INFEASIBLE)) return
        throw new CodedError('VOLUME_EXPAND', why, { cause: error })
      }
      if (!decision.isTold) await tell(begun, { state: null, size: decision.size })
      sizes.set(name, decision.size)
      both('Normal', 'FileSystemResizeSuccessful', `MountVolume.NodeExpandVolume succeeded for volume "${name}" ${nodeName}`)
    },
  }
}

function referenceOf(kind: string, { metadata: { name, namespace, uid } }: Stored<Pod> | Stored<PersistentVolumeClaim>): ObjectReference {
  return { apiVersion: 'v1', kind, name, uid, ...(namespace !== undefined && { namespace }) }
}
