/** What is wrong with a board, as conditions of its node (in the manner of node-problem-detector, by whose names where it has one). Pure. */
import type { MetricFamily } from '../../stats/metrics-text.ts'
import type { BoardFacts, ThermalZone } from './facts.ts'

export const BOARD_CONDITIONS = ['UnderVoltage', 'Throttled', 'HighTemperature', 'StorageWornOut', 'FilesystemErrors', 'ReadonlyFilesystem', 'ClockNotSet'] as const
export type BoardCondition = (typeof BOARD_CONDITIONS)[number]

/** `message` holds nothing that changes from look to look: each other word is a write. */
export interface Sign { type: BoardCondition; on: boolean; reason: string; message: string; /** Nothing to be told of. */ fine: boolean }

/** Firmware of Raspberry Pis. */
const BITS = { underVoltage: 1 << 0, capped: 1 << 1, throttled: 1 << 2, softLimit: 1 << 3 } as const
const SINCE_BOOT = 16
/** Without trip points of its own: what processors of boards are slowed down at. */
const HOT_CELSIUS = 85
/** Below what switches it off. */
const CRITICAL_MARGIN_CELSIUS = 5
/** It has to cool down by so much before it counts as cool: no back and forth. */
const COOLER_CELSIUS = 5
/** 90 % of the life that it was made for. */
const LIFE_TIME_MAX = 0x0a
const PRE_EOL_WARNING = 2

export interface SignsInput {
  facts: BoardFacts
  /** Those that the node told last. */
  before: ReadonlyMap<string, boolean>
  nowMs: number
  /** Nothing of today can be earlier. */
  clockMsMin: number
}

/** Only of what this machine can tell; the rest is left out. */
export function decideSigns(input: SignsInput): Sign[] {
  return [underVoltage(input), throttled(input), temperature(input), wear(input), errors(input), readOnly(input), clock(input)].filter((sign) => sign !== undefined)
}

const fine = (type: BoardCondition, reason: string, message: string): Sign => ({ type, on: false, reason, message, fine: true })
const bad = (type: BoardCondition, reason: string, message: string): Sign => ({ type, on: true, reason, message, fine: false })
/** It was so, and may be again. */
const was = (type: BoardCondition, reason: string, message: string): Sign => ({ type, on: false, reason, message, fine: false })

const now = (bits: number, bit: number): boolean => (bits & bit) !== 0
const sinceBoot = (bits: number, bit: number): boolean => (bits & (bit << SINCE_BOOT)) !== 0

function underVoltage({ facts: { throttled: bits, isUnderVoltage } }: SignsInput): Sign | undefined {
  if (bits === undefined && isUnderVoltage === undefined) return undefined
  if (isUnderVoltage || now(bits ?? 0, BITS.underVoltage)) return bad('UnderVoltage', 'UnderVoltageDetected', 'the supply voltage is too low: use a stronger power supply or a better cable')
  if (sinceBoot(bits ?? 0, BITS.underVoltage)) return was('UnderVoltage', 'UnderVoltageOccurred', 'the supply voltage has been too low since the last boot: use a stronger power supply or a better cable')
  return fine('UnderVoltage', 'VoltageIsSufficient', 'the supply voltage has been sufficient since the last boot')
}

function throttled({ facts: { throttled: bits } }: SignsInput): Sign | undefined {
  if (bits === undefined) return undefined
  const any = BITS.capped | BITS.throttled | BITS.softLimit
  if (now(bits, any)) return bad('Throttled', 'ProcessorIsThrottled', 'the firmware slows the processor down, for want of voltage or for heat')
  if (sinceBoot(bits, any)) return was('Throttled', 'ProcessorWasThrottled', 'the firmware has slowed the processor down since the last boot, for want of voltage or for heat')
  return fine('Throttled', 'ProcessorIsNotThrottled', 'the processor has run at full speed since the last boot')
}

const limitOf = ({ hotCelsius, criticalCelsius }: ThermalZone): number => hotCelsius ?? (criticalCelsius === undefined ? HOT_CELSIUS : Math.min(HOT_CELSIUS, criticalCelsius - CRITICAL_MARGIN_CELSIUS))

function temperature({ facts: { zones }, before }: SignsInput): Sign | undefined {
  if (zones.length === 0) return undefined
  const wasHot = before.get('HighTemperature') === true
  const hot = zones.filter((zone) => zone.celsius >= limitOf(zone) - (wasHot ? COOLER_CELSIUS : 0))
  if (hot.length === 0) return fine('HighTemperature', 'TemperatureIsNormal', 'no part is hotter than it should be')
  return bad('HighTemperature', 'TemperatureIsHigh', `${hot.map((zone) => `${zone.type || `zone ${zone.zone}`} has reached ${limitOf(zone)} °C`).join(', ')}: give it air`)
}

function wear({ facts: { cards } }: SignsInput): Sign | undefined {
  if (cards.length === 0) return undefined
  const worn = cards.filter(({ lifeTime = 0, preEol = 0 }) => lifeTime >= LIFE_TIME_MAX || preEol >= PRE_EOL_WARNING)
  if (worn.length === 0) return fine('StorageWornOut', 'StorageIsNotWornOut', 'storage is within the life that it was made for')
  return bad('StorageWornOut', 'StorageIsWornOut', `${worn.map((card) => card.name).join(', ')} is near the end of the life that it was made for: replace it`)
}

function errors({ facts: { ext4 } }: SignsInput): Sign | undefined {
  if (ext4.length === 0) return undefined
  const broken = ext4.filter((fs) => fs.errors > 0)
  if (broken.length === 0) return fine('FilesystemErrors', 'FilesystemHasNoErrors', 'file systems have noted no errors')
  return bad('FilesystemErrors', 'FilesystemHasErrors', `the ext4 file system on ${broken.map((fs) => fs.device).join(', ')} has noted errors: check it (e2fsck), and the card it is on`)
}

/** Told once it has happened: by itself it says nothing that Ready does not. */
function readOnly({ facts: { isReadOnly }, before }: SignsInput): Sign | undefined {
  if (isReadOnly) return bad('ReadonlyFilesystem', 'FilesystemIsReadOnly', 'the file system of the data directory is read-only: the kernel does that after errors; look into its log (dmesg)')
  return before.has('ReadonlyFilesystem') ? fine('ReadonlyFilesystem', 'FilesystemIsNotReadOnly', 'Filesystem is not read-only') : undefined
}

/** Of machines whose clock does not run while they are off. */
function clock({ facts: { hasBatteryClock, isTimeSynchronized }, before, nowMs, clockMsMin }: SignsInput): Sign | undefined {
  if (nowMs < clockMsMin) return bad('ClockNotSet', 'ClockIsBeforeBuild', 'the clock says a time that cannot be: certificates are not valid then; set it, or let NTP set it')
  if (!hasBatteryClock && isTimeSynchronized === false) return bad('ClockNotSet', 'ClockIsNotSynchronized', 'there is no battery clock, and NTP has not set the time since the boot')
  if ((hasBatteryClock || isTimeSynchronized === undefined) && !before.has('ClockNotSet')) return undefined
  return fine('ClockNotSet', 'ClockIsSet', 'the clock has been set')
}

/** node-problem-detector's and node_exporter's names. */
export function boardMetrics(signs: readonly Sign[], { zones, ext4 }: BoardFacts): MetricFamily[] {
  return [
    { name: 'problem_gauge', help: 'Whether a specific type of problem is affecting the node or not.', type: 'gauge', samples: signs.map(({ type, on, reason }) => ({ labels: { type, reason }, value: on ? 1 : 0 })) },
    { name: 'node_thermal_zone_temp', help: 'Zone temperature in Celsius', type: 'gauge', samples: zones.map(({ zone, type, celsius }) => ({ labels: { type, zone }, value: celsius })) },
    { name: 'skiff_ext4_errors', help: 'Errors that an ext4 file system has noted since it was made or checked.', type: 'gauge', samples: ext4.map(({ device, errors: value }) => ({ labels: { device }, value })) },
  ]
}
