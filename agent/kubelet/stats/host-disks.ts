/** The machine's own file systems and the disks they are on, from /proc. */
import { readFile, statfs } from 'node:fs/promises'

/** As /proc/diskstats counts since boot (kernel documentation, admin-guide/iostats.rst): sectors have 512 bytes, times are in ms. */
export interface DiskCounters {
  reads: number
  readsMerged: number
  sectorsRead: number
  readMs: number
  writes: number
  writesMerged: number
  sectorsWritten: number
  writeMs: number
  inProgress: number
  busyMs: number
  weightedMs: number
}

export interface HostDisk {
  /** `/dev/mmcblk0p2` */
  device: string
  major: string
  minor: string
  bytes: number
  usedBytes: number
  inodes: number
  inodesFree: number
  /** Undefined: the kernel does not count this one. */
  counters: DiskCounters | undefined
}

export interface MountedDevice { device: string; major: string; minor: string; mountPoint: string }

export const SECTOR_BYTES = 512

/** Those that are mounted from a device, each once; one that cannot be asked is left out. */
export async function readHostDisks(): Promise<HostDisk[]> {
  const [mountinfo, diskstats] = await Promise.all([readFile('/proc/self/mountinfo', 'utf8'), readFile('/proc/diskstats', 'utf8').catch(() => '')])
  const counters = parseDiskStats(diskstats)
  const disks = await Promise.all(parseMountedDevices(mountinfo).map(async ({ device, major, minor, mountPoint }): Promise<HostDisk | undefined> => {
    const fs = await statfs(mountPoint).catch(() => undefined)
    return fs && { device, major, minor, bytes: fs.blocks * fs.bsize, usedBytes: (fs.blocks - fs.bfree) * fs.bsize, inodes: fs.files, inodesFree: fs.ffree, counters: counters.get(`${major}:${minor}`) }
  }))
  return disks.filter((disk) => disk !== undefined)
}

/** The first mount of each device: the others show the same file system, or parts of it. */
export function parseMountedDevices(mountinfo: string): MountedDevice[] {
  const found = new Map<string, MountedDevice>()
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ')
    const [major = '', minor = ''] = (fields[2] ?? '').split(':')
    const device = fields[fields.indexOf('-') + 2] ?? ''
    if (!device.startsWith('/dev/') || found.has(device)) continue
    found.set(device, { device, major, minor, mountPoint: unescaped(fields[4] ?? '') })
  }
  return [...found.values()]
}

/** Blanks and the like are octal there. */
const unescaped = (path: string): string => path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))

/** By `major:minor`. */
export function parseDiskStats(diskstats: string): Map<string, DiskCounters> {
  return new Map(diskstats.split('\n').flatMap((line): [string, DiskCounters][] => {
    const [major, minor, name, ...figures] = line.trim().split(/\s+/)
    if (name === undefined || figures.length < 11) return []
    const [reads = 0, readsMerged = 0, sectorsRead = 0, readMs = 0, writes = 0, writesMerged = 0, sectorsWritten = 0, writeMs = 0, inProgress = 0, busyMs = 0, weightedMs = 0] = figures.map(Number)
    return [[`${major ?? ''}:${minor ?? ''}`, { reads, readsMerged, sectorsRead, readMs, writes, writesMerged, sectorsWritten, writeMs, inProgress, busyMs, weightedMs }]]
  }))
}
