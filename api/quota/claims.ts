/** What volume claims use: themselves and storage, in all and by storage class. */
import type { PersistentVolumeClaim } from '../types/generated/models.ts'
import { compareQuantity, formatQuantity, parseQuantity } from '../types/quantity.ts'
import { fitsRequirement, type Evaluator } from './evaluator.ts'

const COUNT = 'count/persistentvolumeclaims'
const CLAIMS = 'persistentvolumeclaims'
const STORAGE = 'requests.storage'
const BY_CLASS = '.storageclass.storage.k8s.io/'
const CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class'
const NANO = 1_000_000_000n

export const claimEvaluator: Evaluator = {
  handles({ operation, subresource, object, old }) {
    if (subresource === '') return operation === 'CREATE' || operation === 'UPDATE'
    return subresource === 'status' && object !== undefined && old !== undefined && changesUsage(old as PersistentVolumeClaim, object as PersistentVolumeClaim)
  },
  matchingResources: (names) => names.filter((name) => name === COUNT || [CLAIMS, STORAGE].some((r) => name === r || name.endsWith(`${BY_CLASS}${r}`))),
  usage(object) {
    const claim = object as PersistentVolumeClaim
    const storageClass = claim.metadata?.annotations?.[CLASS_ANNOTATION] ?? claim.spec?.storageClassName ?? ''
    const used: Record<string, string> = { [COUNT]: '1', [CLAIMS]: '1' }
    const storage = storageOf(claim)
    if (storage !== undefined) used[STORAGE] = storage
    if (storageClass !== '') {
      used[`${storageClass}${BY_CLASS}${CLAIMS}`] = '1'
      if (storage !== undefined) used[`${storageClass}${BY_CLASS}${STORAGE}`] = storage
    }
    return used
  },
  matchesScope: (requirement, object) => requirement.scopeName === 'VolumeAttributesClass' && fitsRequirement(requirement, attributesClasses(object as PersistentVolumeClaim)),
  isReplenishing: (before, after) => changesUsage(before as PersistentVolumeClaim, after as PersistentVolumeClaim),
}

/** While a claim grows it is charged for the greater of what it has and what it asks for. */
function storageOf(claim: PersistentVolumeClaim): string | undefined {
  const asked = claim.spec?.resources?.requests?.['storage']
  const allocated = claim.status?.allocatedResources?.['storage']
  const charged = asked !== undefined && allocated !== undefined && compareQuantity(allocated, asked) > 0 ? allocated : asked
  return charged === undefined ? undefined : wholeBytes(charged)
}

function wholeBytes(text: string): string {
  const { nano, format } = parseQuantity(text)
  const rest = nano % NANO
  return rest === 0n ? text : formatQuantity({ nano: nano - rest + NANO, format })
}

function changesUsage(before: PersistentVolumeClaim, after: PersistentVolumeClaim): boolean {
  return before.status?.allocatedResources?.['storage'] !== after.status?.allocatedResources?.['storage'] || attributesClasses(before).join() !== attributesClasses(after).join()
}

/** A claim in change counts for the class it has and for the one it is to have. */
function attributesClasses({ spec, status }: PersistentVolumeClaim): string[] {
  const names = [spec?.volumeAttributesClassName, status?.currentVolumeAttributesClassName, status?.modifyVolumeStatus?.targetVolumeAttributesClassName]
  return [...new Set(names.flatMap((name) => (name ? [name] : [])))].sort()
}
