/** Where CSI volumes are staged, published and noted: upstream's tree, which drivers in pods have mounted. Pure. */
import { join } from 'node:path'
import type { PodPaths } from '../../pod-paths.ts'
import type { Note } from './notes.ts'
import { stagingName } from './volume.ts'

/** What a volume's places depend on. */
export interface Placed { driver: string; handle: string; specName: string; isBlock: boolean }

export interface Place {
  /** What the driver is told: a directory it mounts, or for a published device a file it makes. */
  target: string
  /** Its `vol_data.json` is here. */
  notes: string
  /** Removed with it when they are empty, innermost first. */
  parents: readonly string[]
}

export const placedBy = (note: Note): Placed => ({ driver: note.driverName, handle: note.volumeHandle, specName: note.specVolID ?? '', isBlock: note.volumeMode === 'Block' })

export function createPlaces(rootDir: string, paths: PodPaths) {
  const root = join(rootDir, 'plugins', 'kubernetes.io', 'csi')
  const devices = join(root, 'volumeDevices')
  return {
    /** Once for all pods of the node. */
    staged({ driver, handle, specName, isBlock }: Placed): Place {
      if (!isBlock) {
        const notes = join(root, driver, stagingName(handle))
        return { target: join(notes, 'globalmount'), notes, parents: [notes] }
      }
      const notes = join(devices, specName, 'data')
      return { target: join(devices, 'staging', specName), notes, parents: [notes, join(devices, specName)] }
    },
    /** For one pod. */
    published(podUid: string, { specName, isBlock }: Placed): Place {
      const notes = join(paths.volumes(podUid), 'kubernetes.io~csi', specName)
      if (!isBlock) return { target: join(notes, 'mount'), notes, parents: [notes] }
      const publish = join(devices, 'publish', specName)
      return { target: join(publish, podUid), notes, parents: [publish, notes] }
    },
  }
}

export type Places = ReturnType<typeof createPlaces>
