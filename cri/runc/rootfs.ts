/** A container's root: its image's layers below, one writable directory on top, by overlayfs. */
import { chown, mkdir } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError } from '#base/errors.ts'
import type { IdRange } from '../runtime.ts'
import { idMapLayers } from './id-mapped-mounts.ts'
import { unmountBelow } from './namespace-pins.ts'
import type { LayerStore } from './layer-store.ts'
import { mustRun } from './run-command.ts'

export interface RootfsPaths { rootfs: string; shiftedLayers: string; upper: string; work: string }
/** Of a pod with users of its own. */
export interface OwnUsers { path: string; range: IdRange }

/** What the kernel takes as one mount's options, less room for the rest of the line. */
const OPTION_BYTES_MAX = 4095

/** `chain`: base first. */
export async function mountRootfs(paths: RootfsPaths, chain: readonly string[], layers: LayerStore, clock: Clock, users?: OwnUsers): Promise<void> {
  for (const path of [paths.rootfs, paths.upper, paths.work]) await mkdir(path, { recursive: true, mode: 0o755 })
  for (const path of [paths.upper, paths.work]) if (/[,:\\]/.test(path)) throw new CodedError('CRI_INVALID', `overlayfs cannot take the path ${path}: the data directory must not hold a comma, colon or backslash`)
  // Relative to the layers' directory, nearest layer first: that keeps 127 of them within one page.
  const trees = chain.map((id) => layers.treePath(id)).reverse()
  const lower = users ? await idMapLayers(paths.shiftedLayers, trees, users.path) : trees.map((tree) => basename(tree))
  if (users) await chown(paths.upper, users.range.hostId, users.range.hostId)
  if (lower.length === 0) throw new CodedError('CRI_INVALID', 'image has no layers')
  const options = `lowerdir=${lower.join(':')},upperdir=${paths.upper},workdir=${paths.work}`
  if (Buffer.byteLength(options) > OPTION_BYTES_MAX) throw new CodedError('CRI_INVALID', `image has too many layers (${lower.length}) to mount below ${paths.upper}`)
  try {
    // Newer util-linux would pass each option by fsconfig(2), which ends at 256 bytes.
    await mustRun(['mount', '-n', '-t', 'overlay', 'overlay', '-o', options, paths.rootfs], { clock, cwd: users ? paths.shiftedLayers : layers.directory, env: { LIBMOUNT_FORCE_MOUNT2: 'always' } })
  } catch (error) {
    const { message } = asError(error)
    const hint = /unknown filesystem type/.test(message) ? ': this kernel has no overlayfs; load the module "overlay" (modprobe overlay) or use a kernel that has it' : ''
    throw new CodedError('CRI_FAILED', `failed to mount rootfs: ${message}${hint}`, { cause: error })
  } finally {
    // overlayfs has taken what it needs of them.
    if (users) await unmountBelow([paths.shiftedLayers], clock)
  }
}
