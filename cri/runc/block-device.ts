/** What a block device is called in /dev. */
import { readlink } from 'node:fs/promises'
import { basename } from 'node:path'

/** `/dev/mmcblk0p2`; `0:45` where there is no such device, as below a network file system. */
export async function blockDeviceName(major: number | string, minor: number | string): Promise<string> {
  const number = `${major}:${minor}`
  return readlink(`/sys/dev/block/${number}`).then((path) => `/dev/${basename(path)}`, () => number)
}
