/** The persistent volume binder's decisions, after upstream's pkg/controller/volume/persistentvolume. Pure. */
import type { Node, ObjectReference, PersistentVolumeClaimStatus, PersistentVolumeStatus, StorageClass, Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { classOfClaim, findVolume, mismatch, refersTo, type Claim, type Volume } from '#api/types/volume-match.ts'

export interface ClaimView {
  claim: Claim
  /** The one it names; undefined: there is none. */
  volume: Volume | undefined
  volumes: readonly Volume[]
  /** Of its name. */
  storageClass: Stored<StorageClass> | undefined
  /** Where the scheduler wants its pod. */
  selectedNode: Stored<Node> | undefined
}

export interface VolumeView {
  volume: Volume
  /** The one it refers to, by name. */
  claim: Claim | undefined
}

export type BinderAction =
  | { kind: 'tell'; about: Claim | Volume; type: 'Normal' | 'Warning'; reason: string; message: string }
  /** Both sides, volume first. */
  | { kind: 'bind'; volume: Volume; claim: Claim }
  | { kind: 'writeClaimStatus'; claim: Claim; status: PersistentVolumeClaimStatus }
  | { kind: 'annotateClaim'; claim: Claim; annotations: Record<string, string> }
  | { kind: 'writeVolumeStatus'; volume: Volume; status: PersistentVolumeStatus }
  | { kind: 'unbindVolume'; volume: Volume; claimRef: ObjectReference | undefined }
  /** Somebody else has to look at it. */
  | { kind: 'wakeClaim'; key: string }

export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed'
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller'
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node'
const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by'
const PROVISIONER = 'volume.kubernetes.io/storage-provisioner'
const BETA_PROVISIONER = 'volume.beta.kubernetes.io/storage-provisioner'
const NO_PROVISIONER = 'kubernetes.io/no-provisioner'

export function decideClaim(view: ClaimView): Decision<BinderAction> {
  const { claim } = view
  if (claim.metadata.deletionTimestamp !== undefined && !claim.spec?.volumeName) return nothing('it is going, unbound')
  return claim.metadata.annotations?.[BIND_COMPLETED] === undefined ? unbound(view) : bound(view)
}

function bound({ claim, volume }: ClaimView): Decision<BinderAction> {
  const lost = (reason: string, message: string): Decision<BinderAction> => {
    if (claim.status?.phase === 'Lost') return nothing(message)
    return { actions: [{ kind: 'writeClaimStatus', claim, status: { ...withoutBinding(claim), phase: 'Lost' } }, { kind: 'tell', about: claim, type: 'Warning', reason, message }], because: message }
  }
  if (!claim.spec?.volumeName) return lost('ClaimLost', 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!')
  if (!volume) return lost('ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!')
  if (volume.spec?.claimRef && volume.spec.claimRef.uid !== claim.metadata.uid) return lost('ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly')
  return bind(volume, claim)
}

const withoutBinding = ({ status }: Claim): PersistentVolumeClaimStatus => {
  const { accessModes: _modes, capacity: _capacity, ...rest } = status ?? {}
  return rest
}

function unbound(view: ClaimView): Decision<BinderAction> {
  const { claim, volume, volumes, storageClass, selectedNode } = view
  const waits = storageClass?.volumeBindingMode === 'WaitForFirstConsumer' && claim.metadata.annotations?.[SELECTED_NODE] === undefined
  const pending: BinderAction[] = claim.status?.phase === 'Pending' ? [] : [{ kind: 'writeClaimStatus', claim, status: { ...withoutBinding(claim), phase: 'Pending' } }]
  const tell = (type: 'Normal' | 'Warning', reason: string, message: string): Decision<BinderAction> => ({ actions: [...pending, { kind: 'tell', about: claim, type, reason, message }], because: message })
  if (claim.spec?.volumeName) {
    if (!volume) return { actions: pending, because: 'the volume it names is not there' }
    const { claimRef } = volume.spec ?? {}
    if (claimRef && !refersTo(claimRef, claim)) return tell('Warning', 'FailedBinding', `volume "${volume.metadata.name}" already bound to a different claim.`)
    const problem = claimRef?.uid === claim.metadata.uid ? undefined : mismatch(volume, claim)
    return problem === undefined ? bind(volume, claim) : tell('Warning', 'VolumeMismatch', `Cannot bind to requested volume "${volume.metadata.name}": ${problem}`)
  }
  const found = findVolume(claim, volumes, { waits, node: selectedNode })
  if (found) return bind(found, claim)
  if (waits) return tell('Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding')
  const className = classOfClaim(claim)
  if (className === '') return tell('Normal', 'FailedBinding', 'no persistent volumes available for this claim and no storage class is set')
  if (!storageClass) return tell('Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${className}" not found`)
  const { provisioner } = storageClass
  if (provisioner === NO_PROVISIONER) return tell('Warning', 'ProvisioningFailed', `no volume plugin matched name: ${NO_PROVISIONER}`)
  const { annotations } = claim.metadata
  const asked: BinderAction[] = annotations?.[PROVISIONER] === provisioner ? [] : [{ kind: 'annotateClaim', claim, annotations: { [PROVISIONER]: provisioner, [BETA_PROVISIONER]: provisioner } }]
  const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`
  return { actions: [...pending, ...asked, { kind: 'tell', about: claim, type: 'Normal', reason: 'ExternalProvisioning', message }], because: message }
}

function bind(volume: Volume, claim: Claim): Decision<BinderAction> {
  return isBound(volume, claim) ? nothing('bound') : { actions: [{ kind: 'bind', volume, claim }], because: `bound to ${volume.metadata.name}` }
}

const isBound = (volume: Volume, claim: Claim): boolean =>
  jsonEqual(boundVolume(volume, claim), volume.spec?.claimRef ? volume : undefined) && volume.status?.phase === 'Bound' && jsonEqual(boundClaim(volume, claim), claim) && jsonEqual(boundStatus(volume, claim), claim.status)

/** As the volume is to be. A reference that somebody made remains theirs. */
export function boundVolume(volume: Volume, claim: Claim): Volume {
  const { claimRef } = volume.spec ?? {}
  if (claimRef?.uid === claim.metadata.uid) return volume
  const { name, namespace = '', uid, resourceVersion } = claim.metadata
  const made = refersTo(claimRef, claim) ? {} : { [BOUND_BY_CONTROLLER]: 'yes' }
  return {
    ...volume, metadata: { ...volume.metadata, annotations: { ...volume.metadata.annotations, ...made } },
    spec: { ...volume.spec, claimRef: { ...claimRef, kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace, name, uid, resourceVersion } },
  }
}

export function boundClaim(volume: Volume, claim: Claim): Claim {
  const named = claim.spec?.volumeName === volume.metadata.name
  if (named && claim.metadata.annotations?.[BIND_COMPLETED] !== undefined) return claim
  return {
    ...claim, metadata: { ...claim.metadata, annotations: { ...claim.metadata.annotations, ...(!named && { [BOUND_BY_CONTROLLER]: 'yes' }), [BIND_COMPLETED]: 'yes' } },
    spec: { ...claim.spec, volumeName: volume.metadata.name },
  }
}

/** What it can hold is written once: later it grows by who makes it grow. */
export function boundStatus(volume: Volume, claim: Claim): PersistentVolumeClaimStatus {
  const isNew = claim.status?.phase !== 'Bound'
  const { accessModes, capacity, volumeAttributesClassName } = volume.spec ?? {}
  return {
    ...claim.status, phase: 'Bound', ...(accessModes && { accessModes }), ...(isNew && capacity ? { capacity } : {}),
    ...(isNew && volumeAttributesClassName ? { currentVolumeAttributesClassName: volumeAttributesClassName } : {}),
  }
}

export function decideVolume({ volume, claim: named }: VolumeView): Decision<BinderAction> {
  const { claimRef } = volume.spec ?? {}
  const { namespace = '', name = '' } = claimRef ?? {}
  const phase = (value: string, message?: string): BinderAction[] => (volume.status?.phase === value && volume.status.message === message ? [] : [{ kind: 'writeVolumeStatus', volume, status: { ...withoutReason(volume.status), phase: value, ...(message !== undefined && { message }) } }])
  const say = (because: string, ...actions: BinderAction[]): Decision<BinderAction> => ({ actions, because })
  if (!claimRef) return say('nobody claims it', ...phase('Available'))
  const wake: BinderAction = { kind: 'wakeClaim', key: `${namespace}/${name}` }
  if (!claimRef.uid) return say('kept for a claim', ...phase('Available'), ...(named ? [wake] : []))
  const claim = named?.metadata.uid === claimRef.uid ? named : undefined
  if (!claim) return reclaim(volume, phase)
  if (!claim.spec?.volumeName) return say('its claim is about to be bound', wake)
  if (claim.spec.volumeName === volume.metadata.name) return say('bound', ...phase('Bound'), ...(claim.status?.phase === 'Bound' ? [] : [wake]))
  if (volume.metadata.annotations?.[PROVISIONED_BY] !== undefined && volume.spec?.persistentVolumeReclaimPolicy === 'Delete') return reclaim(volume, phase)
  const { uid: _, resourceVersion: __, ...wish } = claimRef
  return say('its claim has another volume', { kind: 'unbindVolume', volume, claimRef: volume.metadata.annotations?.[BOUND_BY_CONTROLLER] === undefined ? wish : undefined })
}

function withoutReason(status: PersistentVolumeStatus | undefined): PersistentVolumeStatus {
  const { message: _, reason: __, ...rest } = status ?? {}
  return rest
}

/** Its claim is gone. Who made a volume removes it; nobody here does. */
function reclaim(volume: Volume, phase: (value: string, message?: string) => BinderAction[]): Decision<BinderAction> {
  const because = 'its claim is gone'
  const policy = volume.spec?.persistentVolumeReclaimPolicy ?? 'Retain'
  const isFailed = volume.status?.phase === 'Failed'
  if (policy === 'Retain' || (policy === 'Delete' && (volume.metadata.annotations?.[PROVISIONED_BY] !== undefined || volume.spec?.csi))) return { actions: isFailed ? [] : phase('Released'), because }
  if (isFailed) return nothing('nobody can reclaim it')
  const message = policy === 'Delete' ? `error getting deleter volume plugin for volume "${volume.metadata.name}": no deletable volume plugin matched` : 'no recyclable volume plugin matched'
  const failed = phase('Failed', message)
  return { actions: [...failed, ...(failed.length > 0 ? [{ kind: 'tell' as const, about: volume, type: 'Warning' as const, reason: policy === 'Delete' ? 'VolumeFailedDelete' : 'VolumeFailedRecycle', message }] : [])], because }
}
