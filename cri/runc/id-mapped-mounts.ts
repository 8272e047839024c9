/** Mounts of a container that has its own users (KEP-127): its layers and volumes, shown with ids shifted into its range; nothing is copied or chowned. */
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { asError, CodedError } from '#base/errors.ts'
import type { Mount } from '../runtime.ts'
import { cloneIdMapped } from './native.ts'

/** Each layer below `directory`, named by its place; nearest first, as overlayfs wants them. Undone by unmounting what is below. */
export async function idMapLayers(directory: string, layers: readonly string[], usernsPath: string): Promise<string[]> {
  const names: string[] = []
  for (const [i, layer] of layers.entries()) {
    const target = join(directory, String(i))
    await mkdir(target, { recursive: true, mode: 0o711 })
    shift(layer, target, usernsPath)
    names.push(basename(target))
  }
  return names
}

/** The mounts with their sources shifted, each at a place of its own below `directory`. */
export async function idMapMounts(directory: string, mounts: readonly Mount[], usernsPath: string): Promise<Mount[]> {
  const shifted: Mount[] = []
  for (const [i, mount] of mounts.entries()) {
    // The layers of images are shifted themselves: overlayfs cannot be.
    if (!mount.idMapped || mount.image !== undefined) {
      shifted.push(mount)
      continue
    }
    const target = join(directory, String(i))
    await mkdir(directory, { recursive: true, mode: 0o711 })
    if ((await stat(mount.hostPath)).isDirectory()) await mkdir(target, { recursive: true, mode: 0o711 })
    else await writeFile(target, '')
    shift(mount.hostPath, target, usernsPath)
    shifted.push({ ...mount, hostPath: target })
  }
  return shifted
}

function shift(source: string, target: string, usernsPath: string): void {
  try {
    cloneIdMapped(source, target, usernsPath)
  } catch (error) {
    throw new CodedError('CRI_FAILED', `failed to set idmap for mount source "${source}": its file system may not support id-mapped mounts: ${asError(error).message}`, { cause: error })
  }
}
