/** File systems on this node's block devices: found, made where there is none, mounted, unmounted (upstream's SafeFormatAndMount). */
import { mkdir, rmdir, stat } from 'node:fs/promises'
import { CodedError, hasCode } from '#base/errors.ts'
import { runCommand, type CommandFailure } from '../run-command.ts'
import type { Mounter } from './mounter.ts'

export interface DiskMount {
  device: string
  /** Made if it is not there. */
  target: string
  /** '': what is on the device, ext4 on a blank one. */
  fsType: string
  /** Whether a blank device may be formatted, and what a crash left mended. It is mounted for writing either way: others may want to. */
  mayWrite: boolean
  options: readonly string[]
}

export interface Disks {
  /** Mounts the device's file system, unless one is mounted at the target; never formats what is not blank. */
  mount(wanted: DiskMount): Promise<void>
  /** Makes the file system, which is mounted at the target, as large as its device; a blank device has none (upstream's ResizeFs). */
  grow(device: string, target: string): Promise<void>
  /** And removes the directory; succeeds when neither is there. */
  unmount(target: string): Promise<void>
}

/** Formatting a large card takes minutes; upstream has no limit at all. */
const FORMAT_MS = 20 * 60_000
const DEFAULT_FS = 'ext4'
/** blkid's exit code for a device with nothing known on it. */
const BLANK = 2
/** fsck's: errors that it could not mend. */
const FSCK_UNMENDED = 4

export function createDisks(mounter: Mounter): Disks {
  const format = async (device: string, fsType: string): Promise<void> => {
    const args = fsType === 'ext3' || fsType === 'ext4' ? ['-F', '-m0', device] : fsType === 'xfs' ? ['-f', device] : [device]
    await runCommand(`mkfs.${fsType}`, args, { timeoutMs: FORMAT_MS })
  }

  return {
    async mount({ device, target, fsType, mayWrite, options }) {
      await mkdir(target, { recursive: true, mode: 0o750 })
      if ((await mounter.below(target)).includes(target)) return
      const found = await contentOf(device)
      if (found === 'unknown') throw new CodedError('VOLUME_INVALID', `${device} holds partitions or data of an unknown kind: it is not formatted over; name a partition of it, or wipe it with wipefs`)
      if (found === undefined && !mayWrite) throw new CodedError('VOLUME_INVALID', `cannot mount unformatted disk ${device} as we are manipulating it in read-only mode`)
      const type = fsType || found || DEFAULT_FS
      if (found === undefined) await format(device, type)
      else if (mayWrite) await check(device)
      await mounter.mount(type, device, target, [...options, 'defaults'])
    },
    async grow(device, target) {
      const found = await contentOf(device)
      if (found === undefined) return
      const command = growCommand(found, device, target)
      if (!command) throw new CodedError('VOLUME_RESIZE', `ResizeFS.Resize - resize of format ${found} is not supported for device ${device} mounted at ${target}`)
      try {
        await runCommand(command.file, command.args, { timeoutMs: FORMAT_MS })
      } catch (error) {
        if (!hasCode(error, 'COMMAND_FAILED')) throw error
        const { how, output } = (error as CodedError).details as unknown as CommandFailure
        throw new CodedError('VOLUME_RESIZE', `resize of device ${command.about} failed: ${how}. ${command.file} output: ${output}`, { cause: error })
      }
    },
    async unmount(target) {
      await mounter.unmount(target)
      if ((await mounter.below(target)).length > 0) throw new CodedError('VOLUME_BUSY', `${target} is still mounted`)
      await rmdir(target).catch((error: unknown) => {
        if (!hasCode(error, 'ENOENT')) throw error
      })
    },
  }
}

/** While it is mounted. Undefined: it cannot be done. */
function growCommand(type: string, device: string, target: string): { file: string; args: string[]; about: string } | undefined {
  switch (type) {
    case 'ext3': case 'ext4': return { file: 'resize2fs', args: [device], about: device }
    case 'xfs': return { file: 'xfs_growfs', args: ['-d', target], about: target }
    case 'btrfs': return { file: 'btrfs', args: ['filesystem', 'resize', 'max', target], about: target }
    default: return undefined
  }
}

/** The type of file system; `unknown`: something else; undefined: blank. */
async function contentOf(device: string): Promise<string | undefined> {
  let text: string
  try {
    text = await runCommand('blkid', ['-p', '-s', 'TYPE', '-s', 'PTTYPE', '-o', 'export', device])
  } catch (error) {
    if (exitCode(error) === BLANK) return undefined
    throw error
  }
  const type = /^TYPE=(.+)$/m.exec(text)?.[1]
  return type ?? (/^PTTYPE=/m.test(text) ? 'unknown' : undefined)
}

/** What a crash left is mended before it is mounted; where there is no fsck the mount says whether it can be used. */
async function check(device: string): Promise<void> {
  try {
    await runCommand('fsck', ['-a', device], { timeoutMs: FORMAT_MS })
  } catch (error) {
    if (exitCode(error) === FSCK_UNMENDED) throw new CodedError('VOLUME_INVALID', `'fsck' found errors on device ${device} but could not correct them`, { cause: error })
  }
}

function exitCode(error: unknown): number | undefined {
  const code = error instanceof CodedError ? (error.cause as { code?: unknown } | undefined)?.code : undefined
  return typeof code === 'number' ? code : undefined
}

/** Follows links, as /dev/disk/by-id is made of. */
export async function isBlockDevice(path: string): Promise<boolean> {
  return (await stat(path)).isBlockDevice()
}
