/**
 * registries.yaml as k3s documents it, checked: a slip of the pen there would otherwise look like a registry that is
 * down. https://docs.k3s.io/installation/private-registry
 */
import { CodedError } from '#base/errors.ts'
import type { RegistriesConfig } from './registries-config.ts'

type Problem = string | undefined
/** Returns what is wrong with a value, beginning with where. */
type Check = (value: unknown, where: string) => Problem

const text: Check = (value, where) => (typeof value === 'string' ? undefined : `${where} must be a text (put it in quotes)`)
const boolean: Check = (value, where) => (typeof value === 'boolean' ? undefined : `${where} must be true or false`)

const fields = (known: Readonly<Record<string, Check>>): Check => (value, where) => each(value, where, (item, name, path) => {
  const check = known[name]
  return check ? (isAbsent(item) ? undefined : check(item, path)) : `${path} is not known: there are ${Object.keys(known).join(', ')}`
})
const mapOf = (check: Check): Check => (value, where) => each(value, where, (item, _, path) => (isAbsent(item) ? undefined : check(item, path)))
const listOf = (check: Check): Check => (value, where) => (Array.isArray(value) ? firstProblem(value.map((item, i) => check(item, `${where}[${i}]`))) : `${where} must be a list`)

const endpoint: Check = (value, where) => text(value, where) ?? (isEndpoint(String(value)) ? undefined : `${where}: ${JSON.stringify(value)} is not a URL such as https://registry.example.com:5000`)

const rewrite: Check = (value, where) => each(value, where, (replacement, pattern, path) => {
  try {
    void new RegExp(pattern)
  } catch {
    return `${where}: ${JSON.stringify(pattern)} is not a regular expression`
  }
  return text(replacement, path)
})

const auth = fields({ username: text, password: text, auth: text, identity_token: text })
const tlsFields = fields({ ca_file: text, cert_file: text, key_file: text, insecure_skip_verify: boolean })
const tls: Check = (value, where) => tlsFields(value, where) ?? needBoth(value as Record<string, unknown>, where)

const FILE = fields({
  mirrors: mapOf(fields({ endpoint: listOf(endpoint), rewrite })),
  configs: mapOf(fields({ auth, tls })),
})

/** Throws CRI_INVALID with one line that names the place and never a secret. */
export function parseRegistries(value: unknown): RegistriesConfig {
  const problem = FILE(value, '')
  if (problem !== undefined) throw new CodedError('CRI_INVALID', problem)
  return withoutAbsent(value) as RegistriesConfig
}

function needBoth(value: Record<string, unknown>, where: string): Problem {
  return isAbsent(value['cert_file']) === isAbsent(value['key_file']) ? undefined : `${where} needs both cert_file and key_file, or neither`
}

function isEndpoint(value: string): boolean {
  const url = value.includes('://') ? value : `https://${value}`
  return /^https?:\/\/[^/]/.test(url) && URL.canParse(url)
}

function each(value: unknown, where: string, check: (item: unknown, name: string, path: string) => Problem): Problem {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${where === '' ? 'it' : where} must be a mapping`
  return firstProblem(Object.entries(value).map(([name, item]) => check(item, name, where === '' ? name : `${where}.${name}`)))
}

const firstProblem = (problems: readonly Problem[]): Problem => problems.find((p) => p !== undefined)

/** `docker.io:` with nothing behind it is how k3s's users name a registry without saying more. */
const isAbsent = (value: unknown): boolean => value === null || value === undefined

function withoutAbsent(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, v]) => !isAbsent(v)).map(([k, v]) => [k, withoutAbsent(v)]))
}
