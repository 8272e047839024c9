/** Which CSI volumes are to be attached to a node, after upstream's pkg/controller/volume/attachdetach. Pure. */
import { isPodTerminal, type AttachedVolume, type Node, type PersistentVolume, type Pod, type Stored, type VolumeAttachment } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { earlier } from '../time.ts'

export type Attachment = Stored<VolumeAttachment>

export interface AttachView {
  /** Undefined: the node is gone; what was attached to it is let go. */
  node: Stored<Node> | undefined
  nodeName: string
  /** Pods of the node, with the volumes of theirs that have to be attached. */
  uses: readonly { pod: Stored<Pod>; volume: Stored<PersistentVolume> }[]
  /** Of this node, by whomever. Those of a known volume that have the name that is given here are this controller's; others it leaves alone. */
  attachments: readonly Attachment[]
  /** Where else a volume is attached, or is about to be. */
  elsewhere: (volumeName: string) => readonly Attachment[]
  /** Of the volume, for what is no longer used. */
  volumeOf: (name: string) => Stored<PersistentVolume> | undefined
  /** When a volume was first seen unused here while the node still says that it uses it, by its name. */
  unusedSinceMs: ReadonlyMap<string, number>
  nameOf: (volume: Stored<PersistentVolume>) => string
}

export type AttachAction =
  | { kind: 'attach'; name: string; volume: Stored<PersistentVolume> }
  | { kind: 'writeAttached'; node: Stored<Node>; volumes: AttachedVolume[] }
  | { kind: 'detach'; attachment: Attachment }
  | { kind: 'noteUnused'; volume: string; isUnused: boolean }
  | { kind: 'tell'; pod: Stored<Pod>; type: 'Normal' | 'Warning'; reason: string; message: string }

/** A node that does not say that it let go is not believed for ever: upstream's maxWaitForUnmountDuration. */
const UNMOUNT_MS_MAX = 6 * 60_000
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service'

/** As kubelets name it in volumesInUse. */
export const uniqueName = ({ spec }: PersistentVolume): string => `kubernetes.io/csi/${spec?.csi?.driver ?? ''}^${spec?.csi?.volumeHandle ?? ''}`

const isExclusive = ({ spec }: PersistentVolume): boolean => !(spec?.accessModes ?? []).some((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany')

export function decideAttach(view: AttachView, { nowMs }: DecideContext): Decision<AttachAction> {
  const { node, uses, elsewhere, volumeOf, unusedSinceMs, nameOf } = view
  const attachments = view.attachments.filter(({ metadata, spec }) => {
    const volume = volumeOf(spec.source.persistentVolumeName ?? '')
    return volume !== undefined && metadata.name === nameOf(volume)
  })
  const actions: AttachAction[] = []
  let wakeAtMs: number | undefined
  const byVolume = new Map(attachments.map((a) => [a.spec.source.persistentVolumeName ?? '', a]))
  const wanted = new Map(uses.filter(({ pod }) => !isPodTerminal(pod)).map((use) => [use.volume.metadata.name, use]))
  for (const [name, { pod, volume }] of wanted) {
    const attachment = byVolume.get(name)
    if (attachment) {
      const problem = attachment.status?.attachError?.message
      if (attachment.status?.attached !== true && problem !== undefined) actions.push({ kind: 'tell', pod, type: 'Warning', reason: 'FailedAttachVolume', message: `AttachVolume.Attach failed for volume "${name}" : ${problem}` })
      if (unusedSinceMs.has(name)) actions.push({ kind: 'noteUnused', volume: name, isUnused: false })
    } else if (isExclusive(volume) && elsewhere(name).length > 0) {
      actions.push({ kind: 'tell', pod, type: 'Warning', reason: 'FailedAttachVolume', message: `Multi-Attach error for volume "${name}" Volume is already exclusively attached to one node and can't be attached to another` })
    } else if (node && pod.metadata.deletionTimestamp === undefined) actions.push({ kind: 'attach', name: nameOf(volume), volume })
  }
  const gone: Attachment[] = []
  for (const attachment of attachments) {
    const name = attachment.spec.source.persistentVolumeName ?? ''
    if (wanted.has(name) || attachment.metadata.deletionTimestamp !== undefined) continue
    const volume = volumeOf(name)
    const isMounted = node !== undefined && volume !== undefined && (node.status?.volumesInUse ?? []).includes(uniqueName(volume)) && !node.spec?.taints?.some((t) => t.key === OUT_OF_SERVICE)
    const sinceMs = unusedSinceMs.get(name)
    if (isMounted && (sinceMs === undefined || sinceMs + UNMOUNT_MS_MAX > nowMs)) {
      if (sinceMs === undefined) actions.push({ kind: 'noteUnused', volume: name, isUnused: true })
      wakeAtMs = earlier(wakeAtMs, (sinceMs ?? nowMs) + UNMOUNT_MS_MAX)
    } else gone.push(attachment)
  }
  if (node) {
    // What is about to be detached is no longer said to be attached first: kubelets look there before they mount.
    const volumes = attachments.filter((a) => a.status?.attached === true && !gone.includes(a)).flatMap((a): AttachedVolume[] => {
      const volume = volumeOf(a.spec.source.persistentVolumeName ?? '')
      return volume ? [{ name: uniqueName(volume), devicePath: '' }] : []
    }).toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const before = node.status?.volumesAttached ?? []
    if (!jsonEqual(volumes, before)) {
      actions.push({ kind: 'writeAttached', node, volumes })
      const fresh = volumes.filter((v) => !before.some((b) => b.name === v.name))
      for (const { pod, volume } of wanted.values()) {
        if (fresh.some((v) => v.name === uniqueName(volume))) actions.push({ kind: 'tell', pod, type: 'Normal', reason: 'SuccessfulAttachVolume', message: `AttachVolume.Attach succeeded for volume "${volume.metadata.name}" ` })
      }
    }
  }
  for (const attachment of gone) actions.push({ kind: 'detach', attachment })
  return actions.length === 0 ? nothing('as it should be', wakeAtMs) : { actions, because: actions.map((a) => a.kind).join(', '), ...(wakeAtMs !== undefined && { wakeAtMs }) }
}
