/** The string formats that apiextensions checks (kube-openapi `strfmt`), each as lenient or strict as there. Others are let pass. Pure. */
import { isIPv4, isIPv6 } from 'node:net'

type Check = (text: string) => boolean

const matches = (pattern: RegExp): Check => (text) => pattern.test(text)

const FORMATS: Readonly<Record<string, Check>> = {
  bsonobjectid: matches(/^[0-9a-fA-F]{24}$/),
  uri: isRequestUri,
  email: isEmail,
  hostname: isHostname,
  ipv4: isLooseIpv4,
  ipv6: (text) => text.includes(':') && isIPv6(text) && !text.includes('%'),
  cidr: isCidr,
  mac: matches(/^(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\2){6}[0-9a-f]{2}|[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\3){18}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}|(?:[0-9a-f]{4}\.){3}[0-9a-f]{4}|(?:[0-9a-f]{4}\.){9}[0-9a-f]{4}|[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{40})$/i),
  uuid: matches(/^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i),
  uuid3: matches(/^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i),
  uuid4: matches(/^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i),
  uuid5: matches(/^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i),
  isbn: (text) => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: isCreditCard,
  ssn: matches(/^\d{3}[- ]\d{2}[- ]\d{4}$/),
  hexcolor: matches(/^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/),
  rgbcolor: matches(/^rgb\(\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$/),
  byte: matches(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/),
  password: () => true,
  date: isDate,
  duration: isDuration,
  datetime: isDateTime,
  k8sshortname: (text) => text.length <= 63 && /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(text),
  k8slongname: (text) => text.length <= 253 && /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/.test(text),
}

/** Dashes in names of formats mean nothing. */
const normalized = (format: string): string => format.replaceAll('-', '')

/** `type` as the schema has it; '' for none. */
export function isKnownFormat(type: string, format: string): boolean {
  switch (type) {
    case '': case 'string': return Object.hasOwn(FORMATS, normalized(format))
    case 'integer': return format === 'int32' || format === 'int64'
    case 'number': return format === 'float' || format === 'double'
    default: return false
  }
}

/** True for formats nobody knows. */
export const fitsFormat = (format: string, text: string): boolean => FORMATS[normalized(format)]?.(text) ?? true

function isRequestUri(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  if (text === '' || /[\u0000-\u001f\u007f]/.test(text) || /%(?![0-9a-fA-F]{2})/.test(text)) return false
  if (text === '*') return true
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text)
  const rest = scheme ? text.slice(scheme[0].length) : text
  if (!scheme && text.includes(':') && text.indexOf(':') < (text + '/').indexOf('/')) return false
  if (!rest.startsWith('/')) return scheme !== null
  const authority = scheme && /^\/\/([^/?]*)/.exec(rest)?.[1]
  return !authority || /^(?:[^@\s]*@)?(?:\[[0-9a-fA-F:.%]+\]|(?:[^\s[\]:\\%^`{|}]|%[89a-fA-F][0-9a-fA-F])*)(?::\d*)?$/.test(authority)
}

const ATEXT = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\\u0080-\\uffff-]+"
const ADDRESS = `(?:${ATEXT}(?:\\.${ATEXT})*|"(?:[^"\\\\]|\\\\.)*")@(?:${ATEXT}(?:\\.${ATEXT})*|\\[[^\\]]*\\])`
const EMAIL = new RegExp(`^\\s*(?:${ADDRESS}|(?:"(?:[^"\\\\]|\\\\.)*"|[^<>@",;:]*)\\s*<${ADDRESS}>)\\s*(?:\\([^()]*\\)\\s*)?$`)

/** net/mail.ParseAddress: a name before the address is fine. */
function isEmail(text: string): boolean {
  return EMAIL.test(text)
}

const HOSTNAME = /^(?:[a-zA-Z0-9\p{S}\p{L}](?:-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?|(?:[a-zA-Z0-9\p{S}\p{L}](?:(?:[a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)\.)+[a-zA-Z\p{L}]{2,63})$/u

function isHostname(text: string): boolean {
  return Buffer.byteLength(text) <= 255 && HOSTNAME.test(text) && text.split('.').every((label) => Buffer.byteLength(label) <= 63)
}

/** Leading zeros are let pass, as Go before 1.17 did. */
const withoutZeros = (text: string): string => text.replaceAll(/(^|[.:])0+(?=\d+(?:[./]|$))/g, '$1')

function isLooseIpv4(text: string): boolean {
  if (!text.includes('.')) return false
  const address = withoutZeros(text)
  return isIPv4(address) || (isIPv6(address) && !address.includes('%'))
}

function isCidr(text: string): boolean {
  const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? []
  if (bits === '' || address.includes('%')) return false
  const plain = withoutZeros(address)
  return isIPv4(plain) ? Number(bits) <= 32 : isIPv6(plain) && Number(bits) <= 128
}

function isIsbn10(text: string): boolean {
  const digits = text.replaceAll(/[\s-]+/g, '')
  if (!/^(?:[0-9]{9}X|[0-9]{10})$/.test(digits)) return false
  let sum = 0
  for (let i = 0; i < 10; i++) sum += (i + 1) * (digits[i] === 'X' ? 10 : Number(digits[i]))
  return sum % 11 === 0
}

function isIsbn13(text: string): boolean {
  const digits = text.replaceAll(/[\s-]+/g, '')
  if (!/^[0-9]{13}$/.test(digits)) return false
  let sum = 0
  for (let i = 0; i < 12; i++) sum += (i % 2 === 0 ? 1 : 3) * Number(digits[i])
  return Number(digits[12]) === (10 - (sum % 10)) % 10
}

function isCreditCard(text: string): boolean {
  const digits = text.replaceAll(/[^0-9]+/g, '')
  if (!/^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$/.test(digits)) return false
  let sum = 0
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const digit = Number(digits[i]) * (double ? 2 : 1)
    sum += digit >= 10 ? (digit % 10) + 1 : digit
  }
  return sum % 10 === 0
}

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function isDate(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)?.map(Number) ?? []
  if (year === undefined || month === undefined || day === undefined) return false
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month >= 1 && month <= 12 && day >= 1 && day <= (month === 2 && !isLeap ? 28 : (DAYS[month - 1] ?? 0))
}

function isDateTime(text: string): boolean {
  const [date = '', time] = text.toLowerCase().split('t')
  const found = time === undefined || !isDate(date) ? null : /^([0-9]{2}):([0-9]{2}):([0-9]{2})(?:.[0-9]+)?(?:z|[+-][0-9]{2}:[0-9]{2})$/.exec(time)
  return found !== null && (found[1] as string) <= '23' && (found[2] as string) <= '59' && (found[3] as string) <= '59'
}

const GO_DURATION = /^[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$/
const UNITS = ['ns', 'us', 'µs', 'ms', 's', 'm', 'h', 'hr', 'd', 'w', 'wk']
/** What a unit may begin with (`2 minutes`, `3 days`). */
const UNIT_STARTS = ['nano', 'micro', 'milli', 'sec', 'min', 'hour', 'day', 'week']

function isDuration(text: string): boolean {
  if (GO_DURATION.test(text)) return true
  for (const [, , unit = ''] of text.matchAll(/(\d+)\s*([A-Za-z\u00b5]+)/g)) {
    const name = unit.toLowerCase()
    if (UNITS.includes(name) || UNIT_STARTS.some((start) => name.startsWith(start))) return true
  }
  return false
}
