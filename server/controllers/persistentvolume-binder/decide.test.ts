import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, StorageClass, Stored } from '#api/types/index.ts'
import { decideClaim, decideVolume, type ClaimView } from './decide.ts'
import type { Claim, Volume } from '#api/types/volume-match.ts'

const META = { resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }
const claim = (spec: object = {}, meta: object = {}, phase = 'Pending'): Claim => ({ metadata: { ...META, name: 'c', namespace: 'default', uid: 'c', ...meta }, spec: { accessModes: ['ReadWriteOnce'], storageClassName: '', resources: { requests: { storage: '5Gi' } }, ...spec }, status: { phase } })
const volume = (name: string, size: string, spec: object = {}, meta: object = {}, phase = 'Available'): Volume => ({ metadata: { ...META, name, uid: name, ...meta }, spec: { capacity: { storage: size }, accessModes: ['ReadWriteOnce', 'ReadOnlyMany'], persistentVolumeReclaimPolicy: 'Retain', ...spec }, status: { phase } })
const storageClass = (over: object = {}): Stored<StorageClass> => ({ metadata: { ...META, name: 'fast', uid: 'fast' }, provisioner: 'example.com/disk', ...over })
const node = (name: string): Stored<Node> => ({ metadata: { ...META, name, uid: name, labels: { host: name } } })
const bound = { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } }

const claimed = (of: Claim, view: Partial<ClaimView> = {}) => decideClaim({ claim: of, volume: undefined, volumes: [], storageClass: undefined, selectedNode: undefined, ...view }).actions.map((a) => (a.kind === 'bind' ? `bind ${a.volume.metadata.name}` : a.kind === 'tell' ? `${a.reason}: ${a.message}` : a.kind === 'writeClaimStatus' ? `status ${a.status.phase}` : a.kind))
const volumes = [volume('small', '1Gi'), volume('large', '50Gi'), volume('right', '8Gi')]

const CASES: { name: string; of?: Claim; view?: Partial<ClaimView>; does: string[] }[] = [
  { name: 'the smallest that is large enough', view: { volumes }, does: ['bind right'] },
  { name: 'one that was made for it first', view: { volumes: [...volumes, volume('mine', '50Gi', { claimRef: { namespace: 'default', name: 'c' } })] }, does: ['bind mine'] },
  { name: 'none that another has', view: { volumes: [volume('other', '8Gi', { claimRef: { namespace: 'default', name: 'c', uid: 'x' } })] }, does: ['FailedBinding: no persistent volumes available for this claim and no storage class is set'] },
  { name: 'none of another class, mode or access', view: { volumes: [volume('a', '8Gi', { storageClassName: 'x' }), volume('b', '8Gi', { volumeMode: 'Block' }), volume('c', '8Gi', { accessModes: ['ReadOnlyMany'] })] }, does: ['FailedBinding: no persistent volumes available for this claim and no storage class is set'] },
  { name: 'one that its selector chooses', of: claim({ selector: { matchLabels: { a: 'b' } } }), view: { volumes: [...volumes, volume('chosen', '90Gi', {}, { labels: { a: 'b' } })] }, does: ['bind chosen'] },
  { name: 'the one it names', of: claim({ volumeName: 'large' }), view: { volume: volumes[1] }, does: ['bind large'] },
  { name: 'not if that is too small', of: claim({ volumeName: 'small' }), view: { volume: volumes[0] }, does: ['VolumeMismatch: Cannot bind to requested volume "small": requested PV is too small'] },
  { name: 'none before its pod is placed', of: claim({ storageClassName: 'fast' }), view: { volumes: [volume('v', '8Gi', { storageClassName: 'fast' })], storageClass: storageClass({ volumeBindingMode: 'WaitForFirstConsumer' }) }, does: ['WaitForFirstConsumer: waiting for first consumer to be created before binding'] },
  { name: 'then one that can be had there', of: claim({ storageClassName: 'fast' }, { annotations: { 'volume.kubernetes.io/selected-node': 'n1' } }), view: { selectedNode: node('n1'), storageClass: storageClass({ volumeBindingMode: 'WaitForFirstConsumer' }), volumes: ['n0', 'n1'].map((n) => volume(n, '8Gi', { storageClassName: 'fast', nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'host', operator: 'In', values: [n] }] }] } } })) }, does: ['bind n1'] },
  { name: 'a provisioner is asked', of: claim({ storageClassName: 'fast' }, {}, ''), view: { storageClass: storageClass() }, does: ['status Pending', 'annotateClaim', "ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'example.com/disk' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."] },
  { name: 'an unknown class is told of', of: claim({ storageClassName: 'gone' }), does: ['ProvisioningFailed: storageclass.storage.k8s.io "gone" not found'] },
  { name: 'a volume that is gone means loss', of: claim({ volumeName: 'v' }, bound, 'Bound'), does: ['status Lost', 'ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!'] },
  { name: 'so does one that another has', of: claim({ volumeName: 'v' }, bound, 'Bound'), view: { volume: volume('v', '8Gi', { claimRef: { namespace: 'default', name: 'c', uid: 'other' } }) }, does: ['status Lost', 'ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly'] },
]
for (const { name, of = claim(), view, does } of CASES) test(`a claim gets: ${name}`, () => assert.deepStrictEqual(claimed(of, view), does))

const mine = { claimRef: { namespace: 'default', name: 'c', uid: 'c' } }
const VOLUMES: { name: string; of: Volume; claim?: Claim; does: string[] }[] = [
  { name: 'available', of: volume('v', '1Gi', {}, {}, ''), does: ['status Available'] },
  { name: 'bound', of: volume('v', '1Gi', mine), claim: claim({ volumeName: 'v' }, bound, 'Bound'), does: ['status Bound'] },
  { name: 'released and kept', of: volume('v', '1Gi', mine, {}, 'Bound'), does: ['status Released'] },
  { name: 'released for another claim of the name', of: volume('v', '1Gi', mine, {}, 'Bound'), claim: claim({}, { uid: 'next' }), does: ['status Released'] },
  { name: 'left to who made it', of: volume('v', '1Gi', { ...mine, persistentVolumeReclaimPolicy: 'Delete' }, { annotations: { 'pv.kubernetes.io/provisioned-by': 'x' } }, 'Bound'), does: ['status Released'] },
  { name: 'failed where nobody can delete it', of: volume('v', '1Gi', { ...mine, persistentVolumeReclaimPolicy: 'Delete', hostPath: { path: '/x' } }, {}, 'Bound'), does: ['status Failed', 'VolumeFailedDelete'] },
  { name: 'given up when its claim took another', of: volume('v', '1Gi', mine, { annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' } }), claim: claim({ volumeName: 'w' }), does: ['unbind'] },
  { name: 'kept for who wished for it', of: volume('v', '1Gi', mine), claim: claim({ volumeName: 'w' }), does: ['unbind for c'] },
]
for (const { name, of, claim: its, does } of VOLUMES) {
  test(`a volume is ${name}`, () => assert.deepStrictEqual(decideVolume({ volume: of, claim: its }).actions.map((a) => (a.kind === 'writeVolumeStatus' ? `status ${a.status.phase}` : a.kind === 'tell' ? a.reason : a.kind === 'unbindVolume' ? `unbind${a.claimRef ? ` for ${a.claimRef.name}` : ''}` : a.kind)), does))
}
