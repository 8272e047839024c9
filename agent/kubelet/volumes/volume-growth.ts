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
import type { CsiVolumes } from './csi/csi-volumes.ts'
import { uniqueName, type CsiVolume } from './csi/volume.ts'
import { time } from '../time.ts'

export interface Growing { pv: Stored<PersistentVolume>; claim: Stored<PersistentVolumeClaim>; volume: CsiVolume }

export interface VolumeGrowth {
  /** Rejects when the driver failed and it is worth trying again; what the driver refuses for good is told in the claim. */
  grow(pod: Stored<Pod>, growing: Growing): Promise<void>
  /** This node uses it no more. */
  forget(volume: CsiVolume): void
}

/** `isTold`: another node has written it into the claim already (ReadWriteMany). */
export type GrowthDecision = { kind: 'none' } | { kind: 'readOnly' } | { kind: 'expand'; size: string; isTold: boolean }

/** States in which the node's turn has come; none at all: an older resizer. */
const NODES_TURN = new Set(['', 'NodeResizePending', 'NodeResizeInProgress'])
/** Conditions that a finished resize ends. */
const RESIZE_CONDITIONS = new Set(['FileSystemResizePending', 'Resizing', 'ControllerResizeError', 'NodeResizeError'])
/** What no repetition will change, by gRPC's codes. */
const INFEASIBLE = new Set([GRPC.invalidArgument, GRPC.outOfRange, GRPC.notFound].map((code) => `GRPC_${code}`))

/** `knownSize`: as large this node has made it; undefined: not known. */
export function decideGrowth({ pv, claim, volume }: Growing, knownSize: string | undefined): GrowthDecision {
  const wanted = pv.spec?.capacity?.['storage']
  const told = claim.status?.capacity?.['storage']
  if (wanted === undefined || told === undefined) return { kind: 'none' }
  const state = claim.status?.allocatedResourceStatuses?.['storage'] ?? ''
  if (!NODES_TURN.has(state)) return { kind: 'none' }
  const isTold = compareQuantity(told, wanted) >= 0
  if (isTold && (state !== '' || knownSize === undefined || compareQuantity(knownSize, wanted) >= 0)) return { kind: 'none' }
  return volume.readonly ? { kind: 'readOnly' } : { kind: 'expand', size: wanted, isTold }
}

export function createVolumeGrowth({ csi, client, events, clock, nodeName }: { csi: Pick<CsiVolumes, 'can' | 'expand'>; client: Client; events: EventRecorder; clock: Clock; nodeName: string }): VolumeGrowth {
  /** By volume. */
  const sizes = new Map<string, string>()

  const tell = async ({ metadata, status }: Stored<PersistentVolumeClaim>, changes: { state: string | null; size?: string; error?: string }): Promise<Stored<PersistentVolumeClaim>> => {
    const kept = (status?.conditions ?? []).filter((c) => (changes.size === undefined ? c.type !== 'NodeResizeError' : !RESIZE_CONDITIONS.has(c.type)))
    const failed: PersistentVolumeClaimCondition[] = changes.error === undefined ? [] : [{ type: 'NodeResizeError', status: 'True', lastTransitionTime: time(clock.nowMs()), message: changes.error }]
    return client.patch<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, metadata.name, metadata.namespace, 'application/merge-patch+json', {
      metadata: { resourceVersion: metadata.resourceVersion },
      status: { allocatedResourceStatuses: { storage: changes.state }, conditions: [...kept, ...failed], ...(changes.size !== undefined && { capacity: { storage: changes.size } }) },
    }, { subresource: 'status' })
  }

  return {
    forget: (volume) => { sizes.delete(uniqueName(volume)) },
    async grow(pod, growing) {
      const { pv, claim, volume } = growing
      const name = uniqueName(volume)
      const decision = decideGrowth(growing, sizes.get(name))
      if (!sizes.has(name) && claim.status?.capacity?.['storage'] !== undefined) sizes.set(name, claim.status.capacity['storage'])
      if (decision.kind === 'none' || !csi.can(volume, 'expand')) return
      const both = (type: 'Normal' | 'Warning', reason: string, message: string) => { for (const about of [referenceOf('Pod', pod), referenceOf('PersistentVolumeClaim', claim)]) events.event(about, type, reason, message) }
      if (decision.kind === 'readOnly') return both('Warning', 'FileSystemResizeFailed', `MountVolume.NodeExpandVolume failed for volume "${pv.metadata.name}" requested read-only file system`)
      const begun = decision.isTold || claim.status?.allocatedResourceStatuses?.['storage'] === undefined ? claim : await tell(claim, { state: 'NodeResizeInProgress' })
      try {
        await csi.expand(pod, volume, quantityValue(decision.size))
      } catch (error) {
        const why = `Expander.NodeExpand failed to expand the volume : ${asError(error).message}`
        events.event(referenceOf('Pod', pod), 'Warning', 'VolumeResizeFailed', `NodeExpandVolume.NodeExpandVolume failed for volume "${pv.metadata.name}" : ${why}`)
        const isInfeasible = error instanceof CodedError && INFEASIBLE.has(error.code)
        if (!decision.isTold) await tell(begun, { state: isInfeasible ? 'NodeResizeInfeasible' : begun.status?.allocatedResourceStatuses?.['storage'] ?? null, error: `failed to expand pvc with ${why}` })
        if (isInfeasible) return
        throw new CodedError('VOLUME_EXPAND', why, { cause: error })
      }
      if (!decision.isTold) await tell(begun, { state: null, size: decision.size })
      sizes.set(name, decision.size)
      both('Normal', 'FileSystemResizeSuccessful', `MountVolume.NodeExpandVolume succeeded for volume "${pv.metadata.name}" ${nodeName}`)
    },
  }
}

function referenceOf(kind: string, { metadata: { name, namespace, uid } }: Stored<Pod> | Stored<PersistentVolumeClaim>): ObjectReference {
  return { apiVersion: 'v1', kind, name, uid, ...(namespace !== undefined && { namespace }) }
}
