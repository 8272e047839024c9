/** `/statusz` and `/flagz` of a component (KEP-4827, KEP-4828): as text for people, as config.k8s.io objects for who asks for a version. */
import type { Random } from '#base/random.ts'
import { parseAccept, type MediaType } from './media-types.ts'

export interface Zpage {
  name: 'statusz' | 'flagz'
  kind: 'Statusz' | 'Flagz'
  /** Without kind, apiVersion and metadata. */
  fields: Readonly<Record<string, unknown>>
  /** What follows the head of the text; `separator` is another one each time, so that nobody parses it. */
  text: (separator: string) => string
}

export interface ComponentState {
  startTimeSeconds: number
  nowMs: number
  goVersion: string
  binaryVersion: string
  emulationVersion: string
  /** All that it serves. */
  paths: readonly string[]
}

const SEPARATORS = [':', ': ', '=', ' ']
export const ZPAGE_TYPES = ['application/json', 'application/yaml', 'text/plain'] as const
type Type = (typeof ZPAGE_TYPES)[number]
const VERSIONS = ['v1alpha1', 'v1beta1']
/** For no debugging: the API itself. */
const NOT_SHOWN: ReadonlySet<string> = new Set(['/apis', '/api', '/openid', '/openapi', '/.well-known'])

export function statusz(state: ComponentState): Zpage {
  const upSeconds = Math.max(0, Math.floor(state.nowMs / 1000 - state.startTimeSeconds))
  const folders = state.paths.map((path) => `/${path.split('/')[1] ?? ''}`).filter((folder) => folder !== '/' && !NOT_SHOWN.has(folder))
  const paths = [...new Set(folders)].sort()
  const { goVersion, binaryVersion, emulationVersion } = state
  const started = new Date(state.startTimeSeconds * 1000)
  return {
    name: 'statusz', kind: 'Statusz',
    fields: { startTime: started.toISOString().replace('.000Z', 'Z'), uptimeSeconds: upSeconds, goVersion, binaryVersion, emulationVersion, paths },
    text: (s) => `\nStarted${s} ${unixDate(started)}\nUp${s} ${uptime(upSeconds)}\nGo version${s} ${goVersion}\nBinary version${s} ${binaryVersion}\nEmulation version${s} ${emulationVersion}\nPaths${s} ${paths.join(' ')}\n`,
  }
}

export function flagz(flags: Readonly<Record<string, string>>): Zpage {
  return {
    name: 'flagz', kind: 'Flagz', fields: { flags },
    text: (s) => Object.keys(flags).sort().map((name) => `${name}${s}${flags[name] ?? ''}\n`).join(''),
  }
}

export type ZpageAnswer = { type: 'text/plain'; text: string } | { type: 'application/json' | 'application/yaml'; object: object; /** For the header of that name. */ warning?: string }

/** Of the part of Kubernetes that is called so. Undefined: nothing of what is asked for is to be had (406). */
export function zpageAnswer(component: string, page: Zpage, accept: string | undefined, random: Random): ZpageAnswer | undefined {
  const asked = negotiate(page, accept)
  if (!asked) return undefined
  if (asked.type === 'text/plain') {
    const separator = SEPARATORS[Math.floor(random.next() * SEPARATORS.length)] ?? ''
    const head = `\n${component} ${page.name}\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.\n`
    return { type: asked.type, text: `${head}${page.text(separator)}` }
  }
  const object = { kind: page.kind, apiVersion: `config.k8s.io/${asked.version}`, metadata: { name: component }, ...page.fields }
  return { type: asked.type, object, ...(asked.version === 'v1alpha1' && { warning: `This version of the ${page.name} endpoint is deprecated. Please use a newer version.` }) }
}

function negotiate(page: Zpage, accept: string | undefined): { type: Type; version: string } | undefined {
  if (accept === undefined || accept.trim() === '') return { type: 'text/plain', version: '' }
  for (const media of parseAccept(accept)) {
    for (const type of ZPAGE_TYPES) {
      const version = matches(media, type) ? versionFor(page, media, type) : undefined
      if (version !== undefined) return { type, version }
    }
  }
  return undefined
}

const matches = ({ type }: MediaType, offered: Type): boolean => type === offered || type === '*/*' || type === `${offered.slice(0, offered.indexOf('/'))}/*`

/** '' for text, which is of no version; undefined: not to be had. */
function versionFor({ kind }: Zpage, { params }: MediaType, type: Type): string | undefined {
  const { as, g, v } = params
  const isPlain = as === undefined && g === undefined && v === undefined
  if ((params['sv'] ?? '') !== '' || (params['stream'] ?? '') !== '') return undefined
  if (type === 'text/plain') return isPlain ? '' : undefined
  return as === kind && g === 'config.k8s.io' && v !== undefined && VERSIONS.includes(v) ? v : undefined
}

const uptime = (seconds: number): string => `${Math.floor(seconds / 3600)} hr ${two(Math.floor(seconds / 60) % 60)} min ${two(seconds % 60)} sec`
const two = (n: number): string => String(n).padStart(2, '0')

/** Go's time.UnixDate. */
function unixDate(date: Date): string {
  const [day = '', dayOfMonth = '', month = '', year = '', time = ''] = date.toUTCString().replace(',', '').split(' ')
  return `${day} ${month} ${String(Number(dayOfMonth)).padStart(2, ' ')} ${time} UTC ${year}`
}
