import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRandom } from '#base/random.ts'
import type { Node, PersistentVolume, Pod, Stored } from '#api/types/index.ts'
import { decideAttach, type Attachment, type AttachView } from './decide.ts'

const metadata = (name: string) => ({ name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', generation: 1 })
const volume = (name: string, accessMode: 'ReadWriteOnce' | 'ReadWriteMany' = 'ReadWriteOnce'): Stored<PersistentVolume> =>
  ({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: metadata(name), spec: { csi: { driver: 'disks.example', volumeHandle: `h-${name}` }, accessModes: [accessMode] } })
const node = (volumesInUse: string[] = [], volumesAttached: string[] = []): Stored<Node> =>
  ({ apiVersion: 'v1', kind: 'Node', metadata: metadata('n1'), status: { volumesInUse, volumesAttached: volumesAttached.map((name) => ({ name, devicePath: '' })) } })
const pod = (name: string): Stored<Pod> => ({ apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata(name), namespace: 'default' }, spec: { nodeName: 'n1', containers: [] }, status: { phase: 'Running' } })
const attachment = (name: string, volumeName: string, attached = true): Attachment =>
  ({ apiVersion: 'storage.k8s.io/v1', kind: 'VolumeAttachment', metadata: metadata(name), spec: { attacher: 'disks.example', nodeName: 'n1', source: { persistentVolumeName: volumeName } }, status: { attached } })
const unique = (name: string) => `kubernetes.io/csi/disks.example^h-${name}`

function view(part: Partial<AttachView>, volumes: readonly Stored<PersistentVolume>[] = []): AttachView {
  return {
    node: node(), nodeName: 'n1', uses: [], attachments: [], elsewhere: () => [], volumeOf: (name) => volumes.find((v) => v.metadata.name === name), unusedSinceMs: new Map(),
    nameOf: (v) => `ours-${v.metadata.name}`, ...part,
  }
}

/** What is to be done, by the names of what it is done to. */
function done(part: Partial<AttachView>, volumes: readonly Stored<PersistentVolume>[] = [], nowMs = 0): string[] {
  return decideAttach(view(part, volumes), { nowMs, random: seededRandom(1) }).actions.map((action) => {
    switch (action.kind) {
      case 'attach': return `attach ${action.name}`
      case 'detach': return `detach ${action.attachment.metadata.name}`
      case 'writeAttached': return `attached: ${action.volumes.map((v) => v.name).join(' ')}`
      case 'noteUnused': return `${action.volume} is ${action.isUnused ? 'unused' : 'used'}`
      case 'tell': return `${action.reason}: ${action.message}`
    }
  })
}

describe('volumes on a node', () => {
  const a = volume('a')

  test('are attached for a pod that uses them, and the node is told when they are', () => {
    assert.deepEqual(done({ uses: [{ pod: pod('p'), volume: a }] }, [a]), ['attach ours-a'])
    assert.deepEqual(done({ uses: [{ pod: pod('p'), volume: a }], attachments: [attachment('ours-a', 'a')] }, [a]), [
      `attached: ${unique('a')}`, 'SuccessfulAttachVolume: AttachVolume.Attach succeeded for volume "a" ',
    ])
  })

  test('are not attached to a second node unless they may be', () => {
    const elsewhere = () => [attachment('there', 'a')]
    assert.deepEqual(done({ uses: [{ pod: pod('p'), volume: a }], elsewhere }, [a]), ['FailedAttachVolume: Multi-Attach error for volume "a" Volume is already exclusively attached to one node and can\'t be attached to another'])
    const shared = volume('a', 'ReadWriteMany')
    assert.deepEqual(done({ uses: [{ pod: pod('p'), volume: shared }], elsewhere }, [shared]), ['attach ours-a'])
  })

  test('are let go when no pod uses them and the node has unmounted them, or has said so for too long', () => {
    const attachments = [attachment('ours-a', 'a')]
    assert.deepEqual(done({ attachments, node: node([], [unique('a')]) }, [a]), ['attached: ', 'detach ours-a'])
    const mounted = { attachments, node: node([unique('a')], [unique('a')]) }
    assert.deepEqual(done(mounted, [a], 1_000), ['a is unused'])
    const unusedSinceMs = new Map([['a', 1_000]])
    assert.deepEqual(done({ ...mounted, unusedSinceMs }, [a], 60_000), [])
    assert.deepEqual(done({ ...mounted, unusedSinceMs }, [a], 361_000), ['attached: ', 'detach ours-a'])
    assert.deepEqual(done({ attachments, node: undefined }, [a]), ['detach ours-a'])
  })

  test('that somebody else attached are left alone: of volumes that are not known, and of names that are not given here', () => {
    assert.deepEqual(done({ attachments: [attachment('ours-b', 'b'), attachment('theirs', 'a')] }, [a]), [])
    assert.deepEqual(done({ attachments: [attachment('theirs', 'a')], uses: [{ pod: pod('p'), volume: a }] }, [a]), ['attach ours-a'])
  })
})
