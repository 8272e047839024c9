/**
 * Command lines as data: each verb lists its flags once, and parsing, config files, help and completion follow from
 * that. Precedence: command line, then SKIFF_<NAME> in the environment, then the config file, then the default.
 * Every mistake is a UsageError of one line that names the flag and the mend (exit code 2).
 */
import { parseArgs } from 'node:util'
import { UsageError } from '#base/errors.ts'

export interface Flag {
  /** Without dashes; the same in config files (k3s's names where the meaning is the same). */
  name: string
  kind: 'string' | 'boolean' | 'number' | 'list'
  /** Of a list: commas are part of an item; the flag is repeated instead. */
  hasCommas?: boolean
  /** For help: `PATH`, `URL`. */
  value?: string
  default?: string | number | boolean
  help: string
  /** Shown to nobody. */
  isSecret?: boolean
  /** Taken from the environment and the config file alone: every user of the machine can read command lines. */
  notOnCommandLine?: boolean
  /** Returns what is wrong with the value, or undefined. */
  check?: (value: string) => string | undefined
}

export type FlagValues = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface ParsedFlags { values: FlagValues; /** What is not a flag. */ positionals: string[] }

export interface FlagSources {
  argv: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  /** Reads and parses the YAML config file; throws UsageError naming it. */
  readConfig: (path: string, isDefault: boolean) => Record<string, unknown>
}

export const DEFAULT_CONFIG_FILE = '/etc/skiff/config.yaml'

export function parseFlags(verb: string, flags: readonly Flag[], sources: FlagSources): ParsedFlags {
  const given = parseArgv(verb, flags, sources.argv)
  const configPath = given.values['config']
  const takesConfig = flags.some((f) => f.name === 'config')
  const config = takesConfig ? sources.readConfig(typeof configPath === 'string' ? configPath : DEFAULT_CONFIG_FILE, configPath === undefined) : {}
  for (const name of Object.keys(config)) {
    if (!flags.some((f) => f.name === name)) throw new UsageError(`the config file sets ${name}, which skiff ${verb} does not know${suggestion(name, flags)}`)
  }
  const values: Record<string, string | number | boolean | readonly string[] | undefined> = {}
  for (const flag of flags) {
    const raw = given.values[flag.name] ?? sources.env[variableOf(flag.name)] ?? config[flag.name]
    values[flag.name] = raw === undefined ? (flag.kind === 'list' ? [] : flag.default) : convertFlag(flag, raw)
  }
  return { values, positionals: given.positionals }
}

/** What holds, as Go prints flags and /flagz shows them. */
export function flagTexts(flags: readonly Flag[], values: FlagValues): Record<string, string> {
  return Object.fromEntries(flags.map(({ name, isSecret }) => {
    const value = values[name] ?? ''
    return [name, isSecret ? 'CLASSIFIED' : Array.isArray(value) ? `[${value.join(',')}]` : String(value)]
  }))
}

const variableOf = (name: string): string => `SKIFF_${name.toUpperCase().replaceAll('-', '_')}`

function parseArgv(verb: string, flags: readonly Flag[], argv: readonly string[]): { values: Record<string, unknown>; positionals: string[] } {
  const options = Object.fromEntries(flags.map((f) => [f.name, { type: f.kind === 'boolean' ? 'boolean' as const : 'string' as const, multiple: f.kind === 'list' }]))
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true, allowPositionals: true, allowNegative: false })
  const values: Record<string, unknown> = {}
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const flag = flags.find((f) => f.name === token.name)
    if (!flag) throw new UsageError(`unknown flag ${token.rawName} for skiff ${verb}${suggestion(token.name, flags)}; skiff ${verb} --help lists them`)
    if (flag.notOnCommandLine) throw new UsageError(`--${flag.name}: every user of this machine could read it: put it into the config file, or set ${variableOf(flag.name)}`)
    if (flag.kind === 'boolean') values[flag.name] = token.value ?? true
    else if (token.value === undefined || token.value === '') {
      throw new UsageError(`--${flag.name} needs a value: --${flag.name} ${flag.value ?? flag.kind.toUpperCase()}`)
    } else if (flag.kind === 'list') values[flag.name] = [...((values[flag.name] as string[] | undefined) ?? []), token.value]
    else values[flag.name] = token.value
  }
  return { values, positionals }
}

/** Throws UsageError that names the flag. */
export function convertFlag(flag: Flag, raw: unknown): string | number | boolean | readonly string[] {
  const wrong = (what: string) => new UsageError(`--${flag.name}: ${what}`)
  if (flag.kind === 'list') {
    const items = (Array.isArray(raw) ? raw : [raw]).flatMap((v) => (flag.hasCommas ? [scalar(flag, v)] : scalar(flag, v).split(','))).map((v) => v.trim()).filter((v) => v !== '')
    for (const item of items) refuse(flag, item)
    return items
  }
  const text = scalar(flag, raw)
  if (flag.kind === 'boolean') {
    if (text !== 'true' && text !== 'false') throw wrong(`${JSON.stringify(text)} is neither true nor false`)
    return text === 'true'
  }
  if (flag.kind === 'number') {
    if (!/^\d+$/.test(text)) throw wrong(`${JSON.stringify(text)} is not a whole number`)
    refuse(flag, text)
    return Number(text)
  }
  refuse(flag, text)
  return text
}

function scalar(flag: Flag, raw: unknown): string {
  if (typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean') return String(raw)
  throw new UsageError(`--${flag.name}: expected ${flag.kind === 'list' ? 'a list of texts' : 'a single value'}`)
}

function refuse(flag: Flag, value: string): void {
  const problem = flag.check?.(value)
  if (problem) throw new UsageError(`--${flag.name}: ${problem}`)
}

function suggestion(name: string, flags: readonly Flag[]): string {
  const near = flags.map((f) => ({ name: f.name, distance: editDistance(name, f.name) })).sort((a, b) => a.distance - b.distance)[0]
  return near && near.distance <= 3 ? ` (did you mean --${near.name}?)` : ''
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length] ?? 0
}
