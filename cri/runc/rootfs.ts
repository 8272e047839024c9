/** What overlayfs shows of images: a container's root, with one writable directory on top, and image volumes, with none. */
import { chown, lstat, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import { mountFileSystem, MOUNT_FLAGS } from '#base/mounts.ts'
import type { ContainerConfig, IdRange, Mount } from '../runtime.ts'
import { idMapLayers } from './id-mapped-mounts.ts'
import { unmountBelow } from './namespace-pins.ts'
import { resolveInRoot } from './path-in-root.ts'
import type { LayerStore } from './layer-store.ts'
import { mustRun } from './run-command.ts'

export interface RootfsPaths { rootfs: string; shiftedLayers: string; upper: string; work: string }
export type LayerTrees = Pick<LayerStore, 'directory' | 'treePath'>
/** Of a pod with users of its own. */
export interface OwnUsers { path: string; range: IdRange }

const VOLUME_FLAGS = MOUNT_FLAGS.readOnly + MOUNT_FLAGS.noSuid + MOUNT_FLAGS.noDev
const MOUNT_HINTS: Readonly<Record<string, string>> = {
  ENODEV: ': this kernel has no overlayfs; load the module "overlay" (modprobe overlay) or use a kernel that has it',
  EINVAL: ': the file system of the data directory may not carry overlays (overlayfs itself, NFS and FAT do not); choose another --data-dir',
}
/** What the kernel takes as one mount's options, less room for the rest of the line. */
const OPTION_BYTES_MAX = 4095

/** `chain`: base first. */
export async function mountRootfs(paths: RootfsPaths, chain: readonly string[], layers: LayerTrees, clock: Clock, users?: OwnUsers): Promise<void> {
  for (const path of [paths.rootfs, paths.upper, paths.work]) await mkdir(path, { recursive: true, mode: 0o755 })
  if (users) await chown(paths.upper, users.range.hostId, users.range.hostId)
  await mountLayers({ paths, chain, layers, clock, users, target: paths.rootfs, bottom: [], options: `,upperdir=${checkedPath(paths.upper)},workdir=${checkedPath(paths.work)}`, flags: 0, what: 'rootfs' })
}

/** What image volumes need besides: a place of their own. */
export interface ImageVolumePaths extends Pick<RootfsPaths, 'shiftedLayers'> { imageVolumes: string }
/** An image that is here; `ref` as people know it. */
export interface VolumeImage { id: string; ref: string; chain: readonly string[] }

/**
 * `mounts` with those of images made: each image is mounted once below `paths.imageVolumes`, and `hostPath` is where the wanted part of it
 * is. Undone by unmounting what is below. Throws CRI_INVALID, `ImageVolumeMountFailed: ...` (cri-api's ErrImageVolumeMountFailed).
 */
export async function mountImageVolumes(paths: ImageVolumePaths, mounts: readonly Mount[], imageOf: (id: string) => VolumeImage, layers: LayerTrees, clock: Clock, users?: OwnUsers): Promise<ContainerConfig['mounts']> {
  const mounted = new Map<string, string>()
  const made: Mount[] = []
  for (const mount of mounts) {
    if (mount.image === undefined) {
      made.push(mount)
      continue
    }
    const image = imageOf(mount.image)
    const root = mounted.get(image.id) ?? join(paths.imageVolumes, String(mounted.size))
    try {
      if (!mounted.has(image.id)) await mountImage(root, image)
      mounted.set(image.id, root)
      made.push({ ...mount, hostPath: await partOf(root, mount.imageSubPath ?? '', image) })
    } catch (error) {
      throw new CodedError('CRI_INVALID', `ImageVolumeMountFailed: ${asError(error).message}`, { cause: error })
    }
  }
  return made

  async function mountImage(target: string, { chain }: VolumeImage): Promise<void> {
    // Two lower directories at least: overlayfs mounts no single one without an upper.
    const empty = join(paths.imageVolumes, 'empty')
    for (const path of [target, empty]) await mkdir(path, { recursive: true, mode: 0o711 })
    await mountLayers({ paths, chain, layers, clock, users, target, bottom: [checkedPath(empty)], options: '', flags: VOLUME_FLAGS, what: 'image volume' })
  }
}

/** Symlinks in the image are followed inside it. */
async function partOf(root: string, subPath: string, { ref }: VolumeImage): Promise<string> {
  if (subPath === '') return root
  const path = resolveInRoot(root, subPath)
  try {
    await lstat(path)
  } catch (error) {
    throw new CodedError('CRI_INVALID', `sub path ${JSON.stringify(subPath)} does not exist in image ${JSON.stringify(ref)}`, { cause: error })
  }
  return path
}

function checkedPath(path: string): string {
  if (/[,:\\]/.test(path)) throw new CodedError('CRI_INVALID', `overlayfs cannot take the path ${path}: the data directory must not hold a comma, colon or backslash`)
  return path
}

interface LayersMount {
  paths: Pick<RootfsPaths, 'shiftedLayers'>
  chain: readonly string[]
  layers: LayerTrees
  clock: Clock
  users: OwnUsers | undefined
  target: string
  /** Below the image's own layers. */
  bottom: readonly string[]
  /** After lowerdir, with the comma. */
  options: string
  /** Of MOUNT_FLAGS, added up: 0, or those of a volume. */
  flags: number
  what: string
}

async function mountLayers({ paths, chain, layers, clock, users, target, bottom, options: more, flags, what }: LayersMount): Promise<void> {
  if (chain.length === 0) throw new CodedError('CRI_INVALID', 'image has no layers')
  // Nearest layer first.
  const trees = chain.map((id) => layers.treePath(id)).reverse()
  const directory = users ? paths.shiftedLayers : layers.directory
  try {
    const names = users ? await idMapLayers(directory, trees, users.path) : trees.map((tree) => basename(tree))
    const optionsWith = (prefix: string) => `lowerdir=${[...names.map((name) => `${prefix}${name}`), ...bottom].join(':')}${more}`
    const absolute = optionsWith(`${checkedPath(directory)}/`)
    if (Buffer.byteLength(absolute) <= OPTION_BYTES_MAX) mountFileSystem({ type: 'overlay', source: 'overlay', target, flags, options: absolute })
    else await mountFrom(directory, optionsWith(''))
  } catch (error) {
    if (hasCode(error, 'CRI_INVALID')) throw error
    const { message } = asError(error)
    const hint = MOUNT_HINTS[(error as { code?: string }).code ?? ''] ?? ''
    throw new CodedError('CRI_FAILED', `failed to mount ${what}: ${message}${hint}`, { cause: error })
  } finally {
    // overlayfs has taken what it needs of them.
    if (users) await unmountBelow([paths.shiftedLayers], clock)
  }

  /** By a program that runs in the layers' directory and names them relative to it: that keeps 127 of them within one page. */
  async function mountFrom(cwd: string, options: string): Promise<void> {
    if (Buffer.byteLength(options) > OPTION_BYTES_MAX) throw new CodedError('CRI_INVALID', `image has too many layers (${chain.length}) to mount at ${target}`)
    // Newer util-linux would pass each option by fsconfig(2), which ends at 256 bytes.
    await mustRun(['mount', '-n', '-t', 'overlay', 'overlay', '-o', `${options}${flags === 0 ? '' : ',ro,nosuid,nodev'}`, target], { clock, cwd, env: { LIBMOUNT_FORCE_MOUNT2: 'always' } })
  }
}
