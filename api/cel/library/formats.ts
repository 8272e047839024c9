/** Kubernetes' named formats (`format.dns1123Label().validate(x)`) and JSON patch keys. */
import { checkDns1035Label, checkDnsLabel, checkDnsSubdomain, checkLabelValue, checkQualifiedName, maskTrailingDash } from '#api/types/names.ts'
import type { Declaration } from '../overload.ts'
import { parseDateTime, parseFullDate } from '../time-text.ts'
import { ArrayList, OpaqueValue, Optional } from '../value.ts'
import { parseRequestUri } from './urls.ts'

class FormatValue extends OpaqueValue {
  readonly typeName = 'kubernetes.NamedFormat'
  readonly name: string
  readonly complaints: (text: string) => string[]
  readonly #regexLength: number
  constructor(name: string, regexLength: number, complaints: (text: string) => string[]) {
    super()
    this.name = name
    this.complaints = complaints
    this.#regexLength = regexLength
  }
  equals(other: OpaqueValue): boolean { return other instanceof FormatValue && other.name === this.name }
  override get sizeForCost(): number { return this.#regexLength }
}

const masked = (check: (text: string) => string[]) => (text: string): string[] => check(maskTrailingDash(text))
const unless = (holds: (text: string) => boolean, complaint: string) => (text: string): string[] => (holds(text) ? [] : [complaint])
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
/** Lengths of upstream's patterns: what costs are made from. */
const DATE_TIME_REGEX = 71

const FORMATS: ReadonlyMap<string, FormatValue> = new Map(
  ([
    ['dns1123Label', 30, checkDnsLabel],
    ['dns1123Subdomain', 60, checkDnsSubdomain],
    ['dns1035Label', 30, checkDns1035Label],
    ['qualifiedName', 60, checkQualifiedName],
    ['dns1123LabelPrefix', 30, masked(checkDnsLabel)],
    ['dns1123SubdomainPrefix', 60, masked(checkDnsSubdomain)],
    ['dns1035LabelPrefix', 30, masked(checkDns1035Label)],
    ['labelValue', 40, checkLabelValue],
    ['uri', 1103, (text) => {
      const parsed = parseRequestUri(text)
      return typeof parsed === 'string' ? [parsed] : []
    }],
    ['uuid', 70, unless((text) => UUID.test(text), 'does not match the UUID format')],
    ['byte', 84, unless((text) => BASE64.test(text), 'invalid base64')],
    ['date', DATE_TIME_REGEX, unless((text) => parseFullDate(text) !== undefined, 'invalid date')],
    ['datetime', DATE_TIME_REGEX, unless((text) => parseDateTime(text) !== undefined, 'invalid datetime')],
  ] as const satisfies readonly (readonly [string, number, (text: string) => string[]])[]).map(([name, length, check]) => [name, new FormatValue(name, length, check)]),
)

const T = 'kubernetes.NamedFormat'

export const FORMAT_FUNCTIONS: readonly Declaration[] = [
  ...Array.from(FORMATS, ([name, format]): Declaration => [`format.${name}`, `format.${name}(): ${T}`, () => format]),
  ['format-named', `format.named(string): optional<${T}>`, (name: string) => {
    const format = FORMATS.get(name)
    return format ? new Optional(format) : Optional.none
  }],
  ['format-validate', `${T}->validate(string): optional<list<string>>`, (format: FormatValue, text: string) => {
    const complaints = format.complaints(text)
    return complaints.length === 0 ? Optional.none : new Optional(new ArrayList(complaints))
  }],
]

/** Only where patches are made (mutating policies). */
export const JSON_PATCH: readonly Declaration[] = [
  ['string_jsonpatch_escapeKey_string', 'jsonpatch.escapeKey(string): string', (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1')],
]
