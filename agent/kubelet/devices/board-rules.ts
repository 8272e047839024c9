/**
 * Devices of boards by the agent's own rules, for which no plugin has to run: `gpio`, `serial:2`, `example.com/radio=/dev/ttyUSB*`.
 * Pure but for the list of files that comes in.
 */
import { UsageError } from '#base/errors.ts'
import { isExtendedResource } from './plugins.ts'
import type { Device } from './source.ts'

export interface BoardRule {
  resource: string
  /** Paths below /dev; `*` stands for any part of a name. */
  patterns: readonly string[]
  /** All paths are one device: whose wires are told apart by other names. */
  together: boolean
  /** To so many containers each device is given at one time. */
  shares: number
}

const KINDS: Readonly<Record<string, Pick<BoardRule, 'patterns' | 'together'>>> = {
  gpio: { patterns: ['/dev/gpiochip*'], together: true },
  i2c: { patterns: ['/dev/i2c-*'], together: true },
  spi: { patterns: ['/dev/spidev*'], together: true },
  serial: { patterns: ['/dev/ttyUSB*', '/dev/ttyACM*', '/dev/ttyAMA*'], together: false },
  video: { patterns: ['/dev/video*'], together: false },
}
const SHARES_MAX = 1_000

/** Throws UsageError: `KIND[:SHARES]` or `NAME=PATTERN[:SHARES]`, patterns joined by `+`. */
export function parseBoardRule(text: string): BoardRule {
  const [, what = '', sharesText] = /^(.*?)(?::(\d+))?$/.exec(text) ?? []
  const shares = Number(sharesText ?? 1)
  if (shares < 1 || shares > SHARES_MAX) throw new UsageError(`${JSON.stringify(text)}: a device can be shared by 1 to ${SHARES_MAX} containers`)
  const equals = what.indexOf('=')
  if (equals < 0) {
    const kind = KINDS[what]
    if (!kind) throw new UsageError(`${JSON.stringify(text)} is neither one of ${Object.keys(KINDS).join(', ')} nor of the form example.com/radio=/dev/ttyUSB*`)
    return { resource: `skiff.io/${what}`, ...kind, shares }
  }
  const [resource, patterns] = [what.slice(0, equals), what.slice(equals + 1).split('+')]
  if (!isExtendedResource(resource)) throw new UsageError(`${JSON.stringify(text)}: ${JSON.stringify(resource)} is not a resource name such as example.com/radio`)
  const wrong = patterns.find((p) => !/^\/dev\/[^\s*/]*[^\s]*$/.test(p) || p.split('/').some((part) => part === '..' || part === '.' || part === '**') || p.slice(0, p.lastIndexOf('/')).includes('*'))
  if (wrong !== undefined) throw new UsageError(`${JSON.stringify(text)}: ${JSON.stringify(wrong)} is not a path below /dev, with * only in its last part`)
  return { resource, patterns, together: false, shares }
}

/** Directories whose contents decide. */
export function directoriesOf(rules: readonly BoardRule[]): string[] {
  return [...new Set(rules.flatMap((r) => r.patterns.map((p) => p.slice(0, p.lastIndexOf('/')))))].toSorted()
}

/** `there`: paths of device nodes. */
export function matchingPaths({ patterns }: BoardRule, there: readonly string[]): string[] {
  const tests = patterns.map((p) => new RegExp(`^${p.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('[^/]*')}$`))
  return there.filter((path) => tests.some((t) => t.test(path))).toSorted(byNumber)
}

/** Names that end in numbers in their order: `/dev/video2` before `/dev/video10`. */
const byNumber = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })

/** Ids are the paths (or the kind's name), and the share's number where there are several. */
export function boardDevices(rule: BoardRule, there: readonly string[]): Device[] {
  const paths = matchingPaths(rule, there)
  const bases = rule.together ? (paths.length > 0 ? ['all'] : []) : paths
  return bases.flatMap((base) => Array.from({ length: rule.shares }, (_, i) => ({ id: rule.shares === 1 ? base : `${base}::${i}`, healthy: true })))
}

/** The nodes behind these ids, each once. */
export function pathsOfIds(rule: BoardRule, ids: readonly string[], there: readonly string[]): string[] {
  const bases = new Set(ids.map((id) => id.replace(/::\d+$/, '')))
  return matchingPaths(rule, there).filter((path) => rule.together || bases.has(path))
}
