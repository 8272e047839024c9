/** Which volume a claim gets, after upstream's component-helpers `volume.FindMatchingVolume`. Pure. */
import type { Node, ObjectReference, PersistentVolume, PersistentVolumeClaim } from './generated/models.ts'
import { compileLabelSelector } from './labels.ts'
import { matchesNodeSelector } from './node-selector.ts'
import type { Stored } from './object.ts'
import { parseQuantity, quantityValue } from './quantity.ts'

export type Claim = Stored<PersistentVolumeClaim>
export type Volume = Stored<PersistentVolume>

const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class'
export const classOfClaim = ({ metadata, spec }: Claim): string => metadata.annotations?.[BETA_CLASS] ?? spec?.storageClassName ?? ''
export const classOfVolume = ({ metadata, spec }: Volume): string => metadata.annotations?.[BETA_CLASS] ?? spec?.storageClassName ?? ''
const modeOf = (spec: { volumeMode?: string } | undefined): string => spec?.volumeMode ?? 'Filesystem'

/** A reference without a uid is somebody's wish, and any claim of that name will do. */
export function refersTo(reference: ObjectReference | undefined, claim: Claim): boolean {
  return reference?.name === claim.metadata.name && reference.namespace === claim.metadata.namespace && (!reference.uid || reference.uid === claim.metadata.uid)
}

const sizeOf = (list: Readonly<Record<string, string>> | undefined): bigint => parseQuantity(list?.['storage'] ?? '0').nano

/** Why a volume that a claim names cannot be its own; undefined: it can. */
export function mismatch(volume: Volume, claim: Claim): string | undefined {
  if (sizeOf(volume.spec?.capacity) < sizeOf(claim.spec?.resources?.requests)) return 'requested PV is too small'
  if (classOfVolume(volume) !== classOfClaim(claim)) return 'storageClassName does not match'
  const attributes = (spec: { volumeAttributesClassName?: string } | undefined): string => spec?.volumeAttributesClassName ?? ''
  if (attributes(volume.spec) !== attributes(claim.spec)) return 'VolumeAttributesClassName does not match'
  if (modeOf(volume.spec) !== modeOf(claim.spec)) return 'incompatible volumeMode'
  if (!hasModes(volume, claim)) return 'incompatible accessMode'
  return undefined
}

const hasModes = (volume: Volume, claim: Claim): boolean => (claim.spec?.accessModes ?? []).every((mode) => volume.spec?.accessModes?.includes(mode))

/** A volume that was made for the claim before any other, else the smallest that will do. `waits`: only the former. `node`: where its pod will run. */
export function findVolume(claim: Claim, volumes: readonly Volume[], { waits, node }: { waits: boolean; node: Stored<Node> | undefined }): Volume | undefined {
  const selector = claim.spec?.selector ? compileLabelSelector(claim.spec.selector) : undefined
  let best: Volume | undefined
  for (const volume of volumes) {
    if (volume.metadata.deletionTimestamp !== undefined || mismatch({ ...volume, spec: { ...volume.spec, storageClassName: classOfClaim(claim) } }, claim) !== undefined) continue
    const affinity = volume.spec?.nodeAffinity?.required
    if (node && affinity && !matchesNodeSelector(affinity, node)) continue
    if (volume.spec?.claimRef) {
      if (refersTo(volume.spec.claimRef, claim)) return volume
      continue
    }
    if (waits || (volume.status?.phase ?? 'Available') !== 'Available' || classOfVolume(volume) !== classOfClaim(claim) || (selector && !selector.matches(volume.metadata.labels))) continue
    if (!best || quantityValue(volume.spec?.capacity?.['storage']) < quantityValue(best.spec?.capacity?.['storage'])) best = volume
  }
  return best
}
