/**
 * What a board tells of itself in /sys, read from files found once: machines that have none of them are not asked again.
 * Raspberry Pi firmware (get_throttled), rpi_volt, thermal zones, mmc wear, ext4 errors, timesyncd.
 */
import { constants } from 'node:fs'
import { access, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'

export interface ThermalZone {
  zone: string
  /** `cpu-thermal`. */
  type: string
  celsius: number
  /** Lowest trip point of these kinds, if it has any. */
  hotCelsius?: number
  criticalCelsius?: number
}

export interface BoardFacts {
  /** The firmware's bits: 0 under-voltage, 1 frequency capped, 2 throttled, 3 soft temperature limit; 16 to 19: the same since the boot. */
  throttled?: number
  /** The voltage monitor's word; where there is no firmware to ask. */
  isUnderVoltage?: boolean
  zones: ThermalZone[]
  /** eMMC: used part of its life in tenths (1: up to 10 %; 11: over), and blocks left in reserve (1 normal, 2: 80 % used, 3: 90 % used). SD cards tell neither. */
  cards: { name: string; lifeTime?: number; preEol?: number }[]
  /** File systems that count their errors. */
  ext4: { device: string; errors: number }[]
  /** The agent's own directory cannot be written for this reason alone. */
  isReadOnly: boolean
  hasBatteryClock: boolean
  /** Undefined: no timesyncd here. */
  isTimeSynchronized?: boolean
}

export interface BoardReader {
  read(): Promise<BoardFacts>
}

interface Sources {
  throttled: string | undefined
  voltage: string | undefined
  zones: { path: string; zone: string; type: string; hotCelsius?: number; criticalCelsius?: number }[]
  cards: string[]
  ext4: string[]
  hasBatteryClock: boolean
  hasTimesync: boolean
}

/** `root`: `/`, or a tree of files for tests. */
export async function openBoardReader(root: string, dataDir: string): Promise<BoardReader> {
  const at = (path: string) => join(root, path)
  const sources: Sources = {
    throttled: await findThrottled(at('/sys/devices/platform')), voltage: await findVoltage(at('/sys/class/hwmon')), zones: await findZones(at('/sys/class/thermal')),
    cards: (await names(at('/sys/block'))).filter((name) => /^mmcblk\d+$/.test(name)).map((name) => join(at('/sys/block'), name)),
    ext4: await existing((await names(at('/sys/fs/ext4'))).map((name) => join(at('/sys/fs/ext4'), name, 'errors_count'))),
    hasBatteryClock: await exists(at('/sys/class/rtc/rtc0')), hasTimesync: await exists(at('/run/systemd/timesync')),
  }
  return {
    async read() {
      const throttled = sources.throttled === undefined ? undefined : hex(await text(sources.throttled))
      const voltage = sources.voltage === undefined ? undefined : await text(sources.voltage)
      return {
        ...(throttled !== undefined && { throttled }), ...(voltage !== undefined && voltage !== '' && { isUnderVoltage: voltage === '1' }),
        zones: await readZones(sources.zones), cards: await readCards(sources.cards), ext4: await readErrors(sources.ext4),
        isReadOnly: await access(dataDir, constants.W_OK).then(() => false, (error: unknown) => hasCode(error, 'EROFS')), hasBatteryClock: sources.hasBatteryClock,
        ...(sources.hasTimesync && { isTimeSynchronized: await exists(at('/run/systemd/timesync/synchronized')) }),
      }
    },
  }
}

/** `soc/soc:firmware`, on a Pi 5 `soc@107c000000/soc@107c000000:firmware`. */
async function findThrottled(platform: string): Promise<string | undefined> {
  for (const bus of (await names(platform)).filter((name) => name.startsWith('soc'))) {
    for (const name of (await names(join(platform, bus))).filter((n) => n.endsWith('firmware'))) {
      const path = join(platform, bus, name, 'get_throttled')
      if (await exists(path)) return path
    }
  }
  return undefined
}

async function findVoltage(hwmon: string): Promise<string | undefined> {
  for (const name of await names(hwmon)) if (await text(join(hwmon, name, 'name')) === 'rpi_volt') return join(hwmon, name, 'in0_lcrit_alarm')
  return undefined
}

async function findZones(thermal: string): Promise<Sources['zones']> {
  const found: Sources['zones'] = []
  for (const zone of (await names(thermal)).filter((name) => /^thermal_zone\d+$/.test(name))) {
    const path = join(thermal, zone)
    const limits: { hotCelsius?: number; criticalCelsius?: number } = {}
    for (const file of (await names(path)).filter((name) => /^trip_point_\d+_type$/.test(name))) {
      const kind = await text(join(path, file))
      const celsius = milli(await text(join(path, file.replace('_type', '_temp'))))
      if (celsius === undefined || celsius <= 0) continue
      if (kind === 'hot') limits.hotCelsius = Math.min(limits.hotCelsius ?? Infinity, celsius)
      if (kind === 'critical') limits.criticalCelsius = Math.min(limits.criticalCelsius ?? Infinity, celsius)
    }
    found.push({ path, zone: zone.replace('thermal_zone', ''), type: await text(join(path, 'type')), ...limits })
  }
  return found
}

async function readZones(zones: Sources['zones']): Promise<ThermalZone[]> {
  const read: ThermalZone[] = []
  for (const { path, ...zone } of zones) {
    const celsius = milli(await text(join(path, 'temp')))
    if (celsius !== undefined) read.push({ ...zone, celsius })
  }
  return read
}

async function readCards(cards: readonly string[]): Promise<BoardFacts['cards']> {
  const read: BoardFacts['cards'] = []
  for (const path of cards) {
    // Two kinds of memory: the more worn one counts.
    const lives = (await text(join(path, 'device/life_time'))).split(/\s+/).map(hex).filter((n) => n !== undefined)
    const preEol = hex(await text(join(path, 'device/pre_eol_info')))
    if (lives.length === 0 && preEol === undefined) continue
    read.push({ name: path.slice(path.lastIndexOf('/') + 1), ...(lives.length > 0 && { lifeTime: Math.max(...lives) }), ...(preEol !== undefined && { preEol }) })
  }
  return read
}

async function readErrors(files: readonly string[]): Promise<BoardFacts['ext4']> {
  const read: BoardFacts['ext4'] = []
  for (const path of files) {
    const errors = await text(path)
    // One that was unmounted has no such file any more.
    if (/^\d{1,15}$/.test(errors)) read.push({ device: path.split('/').at(-2) ?? '', errors: Number(errors) })
  }
  return read
}

const hex = (value: string): number | undefined => (/^(0x)?[0-9a-f]{1,8}$/i.test(value) ? Number.parseInt(value, 16) : undefined)
const milli = (value: string): number | undefined => (/^-?\d{1,9}$/.test(value) ? Number(value) / 1000 : undefined)

async function names(directory: string): Promise<string[]> {
  const found: string[] = await readdir(directory).catch(() => []) // Machines without such things.
  return found.toSorted()
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false)
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of paths) if (await exists(path)) found.push(path)
  return found
}

/** '' where there is nothing to read: drivers answer with errors while they are busy or asleep. */
async function text(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim()
}
