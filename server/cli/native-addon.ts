/**
 * Loads a native addon from inside the single executable: the asset is put into an unnamed file (O_TMPFILE: nothing is
 * left behind, whatever happens) and opened from there. The build replaces the addon packages' own loaders by a call
 * of this; from source they load themselves and this file is not used.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { getRawAsset, isSea } from 'node:sea'
import { CodedError } from '#base/errors.ts'

/** Node has no name for it. It contains O_DIRECTORY, whose bit is another one on ARM. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY
/** Tried in this order; a file system mounted noexec or without O_TMPFILE is passed over. */
const DIRECTORIES = ['/dev/shm', '/run', '/tmp', '/var/tmp', '/var/lib']

export function loadNativeAddon(asset: string): unknown {
  if (!isSea()) throw new CodedError('ADDON_UNAVAILABLE', `${asset} is only in the single executable`)
  const bytes = new Uint8Array(getRawAsset(asset))
  const refusals: string[] = []
  for (const directory of DIRECTORIES) {
    let fd: number | undefined
    try {
      fd = openSync(directory, constants.O_RDWR | O_TMPFILE, 0o700)
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
      const target: { exports: unknown } = { exports: {} }
      process.dlopen(target as NodeJS.Module, `/proc/self/fd/${fd}`)
      return target.exports
    } catch (error) {
      refusals.push(`${directory}: ${(error as Error).message}`)
    } finally {
      if (fd !== undefined) closeSync(fd)
    }
  }
  throw new CodedError('ADDON_UNAVAILABLE', `no directory lets ${asset} be loaded (${refusals.join('; ')}): one of them must allow executable files`)
}
