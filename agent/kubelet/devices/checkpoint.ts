/** Who has which devices, on disk: a restart of the agent takes nothing from anybody. One small file, written when something is given or taken back. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { PodDevices } from './allocation.ts'
import type { DeviceGrant } from './source.ts'

/** Of one pod: what its containers have, and what the plugins said about it. */
export interface PodGrants { devices: PodDevices; grants: Readonly<Record<string, Readonly<Record<string, DeviceGrant>>>> }
export interface Checkpoint { pods: Readonly<Record<string, PodGrants>>; /** Resources that are made of devices, and how many there were. */ resources: Readonly<Record<string, number>> }

const FILE = 'skiff_checkpoint'
const BYTES_MAX = 16 * 1024 * 1024

export async function readCheckpoint(directory: string, log: Log): Promise<Checkpoint> {
  const path = join(directory, FILE)
  try {
    const text = await readFile(path, 'utf8')
    const parsed = text.length > BYTES_MAX ? undefined : JSON.parse(text) as Partial<Checkpoint> | null
    if (isMapping(parsed?.pods) && isMapping(parsed.resources)) return { pods: parsed.pods, resources: parsed.resources }
    log.error('the record of given devices is damaged and is ignored: restart pods that use devices', { file: path })
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) log.error('the record of given devices cannot be read and is ignored: restart pods that use devices', { file: path, error: asError(error) })
  }
  return { pods: {}, resources: {} }
}

const isMapping = <T>(value: T | undefined): value is T => typeof value === 'object' && value !== null && !Array.isArray(value)

export function writeCheckpoint(directory: string, checkpoint: Checkpoint): Promise<void> {
  return writeFileAtomic(join(directory, FILE), JSON.stringify(checkpoint), { mode: 0o600, directoryMode: 0o750 })
}
