/**
 * Kubernetes' rules for names, labels and keys. Each check returns upstream's complaints (apimachinery
 * `util/validation` and `api/validate/content`), empty when the value is fine, ready for `field.Invalid`.
 */
export const DNS_LABEL_LENGTH_MAX = 63
export const DNS_SUBDOMAIN_LENGTH_MAX = 253
export const LABEL_LENGTH_MAX = 63

const LABEL_FMT = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const SUBDOMAIN_FMT = `${LABEL_FMT}(\\.${LABEL_FMT})*`
const UNDERSCORED_LABEL_FMT = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?'
const UNDERSCORED_FMT = `${UNDERSCORED_LABEL_FMT}(\\.${UNDERSCORED_LABEL_FMT})*`
const DNS_1035_FMT = '[a-z]([-a-z0-9]*[a-z0-9])?'
const KEY_FMT = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const VALUE_FMT = `(${KEY_FMT})?`
const ENV_FMT = '[-._a-zA-Z][-._a-zA-Z0-9]*'
const CONFIG_KEY_FMT = '[-._a-zA-Z0-9]+'
const PERCENT_FMT = '[0-9]+%'
const HTTP_HEADER_FMT = '[-A-Za-z0-9]+'
const C_IDENTIFIER_FMT = '[A-Za-z_][A-Za-z0-9_]*'

// JavaScript's `$` without the m flag matches only at the very end, as Go's does.
const LABEL = new RegExp(`^${LABEL_FMT}$`)
const SUBDOMAIN = new RegExp(`^${SUBDOMAIN_FMT}$`)
const UNDERSCORED = new RegExp(`^${UNDERSCORED_FMT}$`)
const DNS_1035 = new RegExp(`^${DNS_1035_FMT}$`)
const WILDCARD = new RegExp(`^\\*\\.${SUBDOMAIN_FMT}$`)
const KEY = new RegExp(`^${KEY_FMT}$`)
const VALUE = new RegExp(`^${VALUE_FMT}$`)
const CONFIG_KEY = new RegExp(`^${CONFIG_KEY_FMT}$`)
const PERCENT = new RegExp(`^${PERCENT_FMT}$`)
const HTTP_HEADER = new RegExp(`^${HTTP_HEADER_FMT}$`)
const C_IDENTIFIER = new RegExp(`^${C_IDENTIFIER_FMT}$`)

const KEY_MSG = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"

export function regexMessage(message: string, format: string, ...examples: string[]): string {
  const shown = examples.map((e) => `'${e}', `).join(' or ')
  return examples.length > 0 ? `${message} (e.g. ${shown}regex used for validation is '${format}')` : `${message} (regex used for validation is '${format}')`
}

export const rangeMessage = (low: number, high: number): string => `must be between ${low} and ${high}, inclusive`
const tooLongChars = (max: number): string => `must be no more than ${max} characters`
const tooLongBytes = (max: number): string => `must be no more than ${max} bytes`

const utf8Length = (text: string): number => Buffer.byteLength(text)

export function checkDnsLabel(value: string): string[] {
  const out = utf8Length(value) > DNS_LABEL_LENGTH_MAX ? [tooLongChars(DNS_LABEL_LENGTH_MAX)] : []
  if (LABEL.test(value)) return out
  if (SUBDOMAIN.test(value)) return [...out, 'must not contain dots']
  return [...out, regexMessage("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character", LABEL_FMT, 'my-name', '123-abc')]
}

export function checkDnsSubdomain(value: string): string[] {
  const out = utf8Length(value) > DNS_SUBDOMAIN_LENGTH_MAX ? [tooLongChars(DNS_SUBDOMAIN_LENGTH_MAX)] : []
  if (SUBDOMAIN.test(value)) return out
  return [...out, regexMessage("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character", SUBDOMAIN_FMT, 'example.com')]
}

/** Upstream's `k8s-long-name-caseless`. */
export function checkDnsSubdomainOfAnyCase(value: string): string[] {
  const out = utf8Length(value) > DNS_SUBDOMAIN_LENGTH_MAX ? [tooLongChars(DNS_SUBDOMAIN_LENGTH_MAX)] : []
  if (SUBDOMAIN.test(value.toLowerCase())) return out
  return [...out, regexMessage("an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character", SUBDOMAIN_FMT, 'Example.com')]
}

/** Search paths of resolvers: names inside may have underscores. */
export function checkDnsSubdomainWithUnderscore(value: string): string[] {
  const out = utf8Length(value) > DNS_SUBDOMAIN_LENGTH_MAX ? [tooLongChars(DNS_SUBDOMAIN_LENGTH_MAX)] : []
  if (UNDERSCORED.test(value)) return out
  return [...out, regexMessage("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character", UNDERSCORED_FMT, 'example.com')]
}

export function checkWildcardSubdomain(value: string): string[] {
  const out = utf8Length(value) > DNS_SUBDOMAIN_LENGTH_MAX ? [tooLongChars(DNS_SUBDOMAIN_LENGTH_MAX)] : []
  if (WILDCARD.test(value)) return out
  return [...out, regexMessage("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character", `\\*\\.${SUBDOMAIN_FMT}`, '*.example.com')]
}

export function checkDns1035Label(value: string): string[] {
  const out = utf8Length(value) > DNS_LABEL_LENGTH_MAX ? [tooLongChars(DNS_LABEL_LENGTH_MAX)] : []
  if (DNS_1035.test(value)) return out
  return [...out, regexMessage("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character", DNS_1035_FMT, 'my-name', 'abc-123')]
}

/** Label keys, annotation keys (lower-cased first), finalizers, resource names, taint keys. */
export function checkQualifiedName(value: string): string[] {
  const parts = value.split('/')
  if (parts.length > 2) return [`a valid label key ${regexMessage(KEY_MSG, KEY_FMT, 'MyName', 'my.name', '123-abc')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]
  const out: string[] = []
  const name = parts.at(-1) ?? ''
  if (parts.length === 2) {
    const prefix = parts[0] ?? ''
    if (prefix === '') out.push('prefix part must be non-empty')
    else out.push(...checkDnsSubdomain(prefix).map((m) => `prefix part ${m === tooLongChars(DNS_SUBDOMAIN_LENGTH_MAX) ? tooLongBytes(DNS_SUBDOMAIN_LENGTH_MAX) : m}`))
  }
  if (name === '') out.push('name part must be non-empty')
  else if (utf8Length(name) > LABEL_LENGTH_MAX) out.push(`name part ${tooLongBytes(LABEL_LENGTH_MAX)}`)
  if (!KEY.test(name)) out.push(`name part ${regexMessage(KEY_MSG, KEY_FMT, 'MyName', 'my.name', '123-abc')}`)
  return out
}

export function checkLabelValue(value: string): string[] {
  const out = utf8Length(value) > LABEL_LENGTH_MAX ? [tooLongBytes(LABEL_LENGTH_MAX)] : []
  if (VALUE.test(value)) return out
  return [...out, regexMessage("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character", VALUE_FMT, 'MyValue', 'my_value', '12345')]
}

/** What stands in one path segment of a URL: names of RBAC objects, of Endpoints' owners, of everything else at least. */
export function checkPathSegment(value: string): string[] {
  if (value === '.' || value === '..') return [`may not be '${value}'`]
  return ['/', '%'].filter((bad) => value.includes(bad)).map((bad) => `may not contain '${bad}'`)
}

/** Keys of ConfigMaps and Secrets: they become file names. */
export function checkConfigKey(value: string): string[] {
  const out = utf8Length(value) > DNS_SUBDOMAIN_LENGTH_MAX ? [tooLongChars(DNS_SUBDOMAIN_LENGTH_MAX)] : []
  if (!CONFIG_KEY.test(value)) out.push(regexMessage("a valid config key must consist of alphanumeric characters, '-', '_' or '.'", CONFIG_KEY_FMT, 'key.name', 'KEY_NAME', 'key-name'))
  return [...out, ...checkNoParentDir(value)]
}

const ENV_NAME = /^[\x20-\x3c\x3e-\x7e]+$/

/** Since v1.34 any printable ASCII but `=`. */
export const isEnvName = (value: string): boolean => ENV_NAME.test(value)

export function checkEnvName(value: string): string[] {
  if (value === '') return ['environment variable name must be non-empty']
  return isEnvName(value) ? [] : ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
}

/** The stricter rule of old, still used for what must be usable in a shell. */
export function checkStrictEnvName(value: string): string[] {
  const out = new RegExp(`^${ENV_FMT}$`).test(value) ? [] : [regexMessage("a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit", ENV_FMT, 'my.env-name', 'MY_ENV.NAME', 'MyEnvName1')]
  return [...out, ...checkNoParentDir(value)]
}

export function checkCIdentifier(value: string): string[] {
  return C_IDENTIFIER.test(value) ? [] : [regexMessage("a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'", C_IDENTIFIER_FMT, 'my_name', 'MY_NAME', 'MyName')]
}

export function checkPortNumber(port: unknown): string[] {
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65535 ? [] : [rangeMessage(1, 65535)]
}

/** IANA service names: at most 15 characters with at least one letter. */
export function checkPortName(value: string): string[] {
  const out: string[] = []
  if (utf8Length(value) > 15) out.push(tooLongChars(15))
  if (!/^[-a-z0-9]+$/.test(value)) out.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  if (!/[a-z]/.test(value)) out.push('must contain at least one letter (a-z)')
  if (value.includes('--')) out.push('must not contain consecutive hyphens')
  if (value.startsWith('-') || value.endsWith('-')) out.push('must not begin or end with a hyphen')
  return out
}

export function checkPercent(value: string): string[] {
  return PERCENT.test(value) ? [] : [regexMessage("a valid percent string must be a numeric string followed by an ending '%'", PERCENT_FMT, '1%', '93%')]
}

export function checkHttpHeaderName(value: string): string[] {
  return HTTP_HEADER.test(value) ? [] : [regexMessage("a valid HTTP header must consist of alphanumeric characters or '-'", HTTP_HEADER_FMT, 'X-Header-Name')]
}

/** A name that ends in what generateName appends may itself end in a dash. */
export function maskTrailingDash(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -2)}a` : prefix
}

function checkNoParentDir(value: string): string[] {
  if (value === '.' || value === '..') return [`must not be '${value}'`]
  return value.startsWith('..') ? ["must not start with '..'"] : []
}
