/**
 * What is noted beside a mounted CSI volume, in upstream's `vol_data.json`: enough to undo it after a crash, and to say which volumes this node
 * uses. The files are the only memory.
 */
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import type { PodPaths } from '../../pod-paths.ts'
import { uniqueName } from './volume.ts'

/** Members as upstream's. */
export interface Note {
  driverName: string
  volumeHandle: string
  specVolID?: string
  /** The cluster attached it. */
  attachmentID?: string
  volumeLifecycleMode?: 'Persistent' | 'Ephemeral'
  /** A device, which is elsewhere: see places.ts. */
  volumeMode?: 'Block'
}

export const NOTE = 'vol_data.json'

export const podCsiDirectory = (paths: PodPaths, uid: string): string => join(paths.volumes(uid), 'kubernetes.io~csi')

export async function writeNote(directory: string, content: Note): Promise<void> {
  await writeFileAtomic(join(directory, NOTE), JSON.stringify(content), { mode: 0o600, directoryMode: 0o750 })
}

/** Undefined: there is none. */
export async function readNote(directory: string): Promise<Note | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, NOTE), 'utf8')) as Note
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
    throw new CodedError('CSI_NOTE', `${join(directory, NOTE)} cannot be read: the volume it is about has to be unmounted by hand, then remove ${dirname(directory)}`, { cause: error })
  }
}

/** Of all pods of the node, or of all others. */
export async function publishedNotes(paths: PodPaths, { except }: { except?: string } = {}): Promise<Note[]> {
  const notes: Note[] = []
  for (const uid of await entriesOf(paths.podsDir)) {
    if (uid === except) continue
    const directory = podCsiDirectory(paths, uid)
    for (const name of await entriesOf(directory)) {
      const found = await readNote(join(directory, name))
      if (found) notes.push(found)
    }
  }
  return notes
}

/** For Node.status.volumesInUse: those that the cluster attached. */
export async function volumesInUse(paths: PodPaths): Promise<readonly string[]> {
  const notes = (await publishedNotes(paths)).filter((n) => n.attachmentID !== undefined)
  return [...new Set(notes.map((n) => uniqueName({ driver: n.driverName, handle: n.volumeHandle })))].toSorted()
}

/** A directory that is not there has none. */
export async function entriesOf(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return []
    throw error
  }
}
