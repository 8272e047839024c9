/**
 * A request body to a typed object, or upstream's refusal. The fast road is one pass over the bytes, JSON.parse, and
 * one walk along the schema; everything slower runs only when something is wrong. Pure.
 */
import { isUtf8 } from 'node:buffer'
import type { DecodeProblem, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import { apiVersionOf, type KubeObject } from '#api/types/index.ts'
import { conformObject, countKeys, type Conformed } from './conform.ts'
import { decodeMessage, hasProtobuf, parseEnvelope, PROTOBUF_TYPE } from '../protobuf/index.ts'
import { explainJson, measureJson } from './json-scan.ts'
import { parseYaml } from './yaml.ts'

/** `fieldValidation` of the request; upstream's default is Warn. */
export type Strictness = 'Ignore' | 'Warn' | 'Strict'

export interface DecodeLimits {
  /** Nesting of objects and arrays. */
  maxDepth: number
  /** Values in a YAML document once its aliases are written out. */
  maxYamlValues: number
}

/** Upstream's decoder gives up at 10,000; nothing real is deeper than a custom resource's schema (about 50), and recursion over the object stays cheap. */
export const DECODE_LIMITS: DecodeLimits = { maxDepth: 500, maxYamlValues: 400_000 }

export interface DecodeOptions {
  schema: SchemaSet
  /** The type expected, by its name in api/schema. */
  model: string
  /** The kind expected, where the model's own is not meant (default: its first). Kind and apiVersion left out of the body mean this. */
  expect?: { group: string; version: string; kind: string }
  /** Other apiVersions of that kind that are taken for it. */
  alsoAs?: readonly string[]
  strictness?: Strictness
  limits?: DecodeLimits
  /** In place of the walk along the model: custom resources. */
  conform?: ((value: unknown) => Conformed) | undefined
  /** See ConformOptions. */
  words?: 'decoder' | 'converter' | undefined
}

export type Decoded<T> =
  /** `problems`: what the verb sends as warnings (`message` is the text). Empty with Ignore. */
  | { ok: true; object: T; problems: DecodeProblem[] }
  | Refused

export interface Refused { ok: false; code: 400 | 415; reason: 'BadRequest' | 'UnsupportedMediaType'; message: string }

const bad = (message: string): Refused => ({ ok: false, code: 400, reason: 'BadRequest', message })

const JSON_TYPES = new Set(['application/json', '*/*', ''])
const mediaTypeOf = (contentType: string | undefined): string => (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
const BODY_TYPES = new Set([...JSON_TYPES, 'application/yaml'])
const YAML_TYPES = new Set(['application/yaml', 'application/apply-patch+yaml'])

export function decodeObject<T extends KubeObject = KubeObject>(bytes: Buffer, contentType: string | undefined, options: DecodeOptions): Decoded<T> {
  const model = options.schema.model(options.model)
  if (!model) throw new Error(`bug: no model ${options.model}`)
  const expect = options.expect ?? model.groupVersionKinds[0] ?? { group: '', version: 'v1', kind: options.model }
  if (mediaTypeOf(contentType) === PROTOBUF_TYPE && hasProtobuf(options.model)) return decodeProtobuf(bytes, model, expect, options)
  // Patches have types of their own; a whole object is not sent as one.
  const parsed = BODY_TYPES.has(mediaTypeOf(contentType)) ? parseBody(bytes, contentType, options) : { ok: false, code: 415, reason: 'UnsupportedMediaType', message: '' } as const
  if (!parsed.ok) return parsed.code === 415 ? { ...parsed, message: unknownFormat(options.model) } : bad(`the object provided is unrecognized (must be of type ${expect.kind}): ${YAML_TYPES.has(mediaTypeOf(contentType)) ? '' : "couldn't get version/kind; json parse error: "}${parsed.message} (${summarize(bytes)})`)
  // To Go's decoder, `null` is an object of which nothing is told.
  const value = parsed.value === null ? {} : parsed.value
  if (!isObject(value)) {
    const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value
    return bad(`the object provided is unrecognized (must be of type ${expect.kind}): couldn't get version/kind; json parse error: json: cannot unmarshal ${kind} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (${summarize(bytes)})`)
  }
  if (model.isCustom && (value['kind'] ?? '') === '' && !/\/.*\//.test(String(value['apiVersion']))) return bad(withoutKind(YAML_TYPES.has(mediaTypeOf(contentType)) ? Buffer.from(JSON.stringify(value)) : bytes, expect.kind))
  const wrongKind = checkKind(value, model, expect, options)
  if (wrongKind) return wrongKind.message.includes(NOT_A_VERSION) ? bad(`${wrongKind.message} (${summarize(bytes)})`) : wrongKind
  return conformParsed<T>(value, expect, options, handling(expect), parsed, bytes)
}

/** What stands before complaints of a request's body. */
const handling = ({ kind, version }: { version: string; kind: string }): string => `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: `

function decodeProtobuf<T extends KubeObject>(bytes: Buffer, model: ModelSchema, expect: { group: string; version: string; kind: string }, options: DecodeOptions): Decoded<T> {
  const parsed = parseEnvelope(bytes)
  if (!parsed.ok) return bad(`the object provided is unrecognized (must be of type ${expect.kind}): ${parsed.message} (${summarize(bytes)})`)
  const { apiVersion, kind, raw } = parsed.envelope
  const wrongKind = checkKind({ apiVersion, kind }, model, expect, options)
  if (wrongKind) return wrongKind
  const read = decodeMessage(raw, options.model, (options.limits ?? DECODE_LIMITS).maxDepth)
  if (!read.ok) return bad(`${kind || expect.kind} in version ${JSON.stringify(expect.version)} cannot be handled as a ${expect.kind}: ${read.message}`)
  return conformParsed<T>(read.value, expect, options, handling(expect))
}

/** The same for a value that is no request body: what a patch has made. Its nulls, unknown fields and so on are treated alike; complaints stand alone. */
export function decodeValue<T extends KubeObject = KubeObject>(value: Record<string, unknown>, options: DecodeOptions): Decoded<T> {
  const model = options.schema.model(options.model)
  const expect = options.expect ?? model?.groupVersionKinds[0] ?? { group: '', version: 'v1', kind: options.model }
  return conformParsed<T>(value, expect, options, '')
}

/** `about`: what stands before complaints. `parsed`, `bytes`: the text it was, where it was one. */
function conformParsed<T>(value: Record<string, unknown>, expect: { group: string; version: string; kind: string }, options: DecodeOptions, about: string, parsed?: Parsed & { ok: true }, bytes?: Buffer): Decoded<T> {
  const conformed = options.conform ? options.conform(value) : conformObject(value, options)
  if (!conformed.ok) return bad(`${about}${conformed.message}`)
  value['kind'] = expect.kind
  value['apiVersion'] = apiVersionOf(expect)
  const strictness = options.strictness ?? 'Warn'
  if (strictness === 'Ignore') return { ok: true, object: value as T, problems: [] }
  const again = (parsed?.duplicates ?? []).map((message): DecodeProblem => ({ kind: 'duplicate', path: '', message }))
  const others = options.conform === undefined ? asUpstreamTells(conformed.problems, parsed) : conformed.problems
  const hasMoreKeys = parsed?.keys !== undefined && parsed.keys !== conformed.keys
  const problems = hasMoreKeys && bytes ? withDuplicates(bytes, others, options.conform === undefined) : [...again, ...others]
  if (strictness === 'Strict' && problems.length > 0) {
    const inYaml = again.length > 0 ? [yamlErrors(again.map((p) => p.message))] : []
    return bad(`${about}strict decoding error: ${[...inYaml, ...problems.slice(again.length).map((p) => p.message)].join(', ')}`)
  }
  return { ok: true, object: value as T, problems }
}

/** Of built-in kinds: as a JSON text has them, of YAML as they come by name, of what a patch has made by their words. */
function asUpstreamTells(problems: readonly DecodeProblem[], parsed: (Parsed & { ok: true }) | undefined): readonly DecodeProblem[] {
  if (!parsed) return problems.toSorted((a, b) => byCode(a.message, b.message))
  return parsed.isYaml ? problems.toSorted((a, b) => byPath(a.path, b.path)) : problems
}

const byCode = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** As a walk over the value meets them that takes keys by name, and elements in their order. */
function byPath(a: string, b: string): number {
  const [left, right] = [a, b].map((path) => path.split(/[.[\]]+/)) as [string[], string[]]
  const at = left.findIndex((step, i) => step !== right[i])
  const [one = '', other = ''] = [left[at], right[at]]
  return /^\d+$/.test(one) && /^\d+$/.test(other) ? Number(one) - Number(other) : byCode(one, other)
}

/** Keys that a parsed JSON text gives more than once; finding none costs one walk over the value. */
export function duplicateFields(bytes: Buffer, parsed: Parsed & { ok: true }): string[] {
  return parsed.keys === undefined || parsed.keys === countKeys(parsed.value) ? [] : withDuplicates(bytes, [], false).map((p) => p.message)
}

/** Keys that a configuration gives more than once, as lines: it is YAML to upstream even where it is JSON. */
export function duplicateLines(bytes: Buffer, parsed: Parsed & { ok: true }, limits = DECODE_LIMITS): string[] {
  if (parsed.duplicates) return parsed.duplicates
  if (parsed.keys === countKeys(parsed.value)) return []
  const yaml = parseYaml(bytes.toString(), { maxDepth: limits.maxDepth, maxValues: limits.maxYamlValues })
  return yaml.ok ? yaml.duplicates : []
}

/** In go-yaml's words. */
export const yamlErrors = (lines: readonly string[]): string => `yaml: unmarshal errors:\n${lines.map((line) => `  ${line}`).join('\n')}`

/** Duplicates among the other problems: as the text has them, of unknown fields none (typed objects), or before them (custom resources). */
function withDuplicates(bytes: Buffer, others: readonly DecodeProblem[], inOrder: boolean): DecodeProblem[] {
  const unknown = new Set(inOrder ? others.map((p) => p.path) : [])
  const explained = explainJson(bytes.toString(), unknown)
  if (!explained.ok) return [...others]
  const duplicates = explained.duplicates.filter((path) => !unknown.has(path)).map((path): DecodeProblem => ({ kind: 'duplicate', path, message: `duplicate field ${JSON.stringify(path)}` }))
  if (!inOrder) return [...duplicates, ...others]
  const place = (p: DecodeProblem): number => (explained.order.get(p.kind === 'duplicate' ? `${p.path}\0` : p.path) ?? Infinity)
  return [...others, ...duplicates].toSorted((a, b) => place(a) - place(b) || 0)
}

export type Parsed =
  /** `keys`: how many a JSON text has; of YAML `duplicates`, what parseYaml tells of. */
  | { ok: true; value: unknown; keys: number | undefined; duplicates?: string[]; /** By its type: it may be JSON all the same. */ isYaml?: boolean }
  /** 400: `message` is the parser's own words. */
  | { ok: false; code: 400; message: string }
  | Refused & { code: 415 }

/** JSON or YAML bytes to a value nested at most `maxDepth` deep. */
export function parseBody(bytes: Buffer, contentType: string | undefined, options: Pick<DecodeOptions, 'limits'> = {}): Parsed {
  const limits = options.limits ?? DECODE_LIMITS
  const type = mediaTypeOf(contentType)
  const yaml = YAML_TYPES.has(type)
  if (!yaml && !JSON_TYPES.has(type) && !type.endsWith('+json')) {
    return { ok: false, code: 415, reason: 'UnsupportedMediaType', message: unknownFormat() }
  }
  if (!isUtf8(bytes)) return { ok: false, code: 400, message: 'invalid UTF-8 in the body of the request' }
  // kubectl sends JSON under the YAML type; JSON's own parser is thirty times faster. Keys given again are for YAML's to tell.
  if (!yaml || firstByte(bytes) === 0x7b) {
    const { depth, keys } = measureJson(bytes)
    const text = bytes.toString()
    if (depth > limits.maxDepth) {
      const explained = explainJson(text, undefined, limits.maxDepth)
      return { ok: false, code: 400, message: explained.ok ? 'exceeded max depth' : explained.message }
    }
    try {
      const value = JSON.parse(text) as unknown
      if (!yaml || keys === countKeys(value)) return { ok: true, value, keys, isYaml: yaml }
    } catch (error) {
      if (!yaml) return { ok: false, code: 400, message: syntaxMessage(text, error) }
    }
  }
  const parsed = parseYaml(bytes.toString(), { maxDepth: limits.maxDepth, maxValues: limits.maxYamlValues })
  return parsed.ok ? { ok: true, value: parsed.value, keys: undefined, duplicates: parsed.duplicates, isYaml: true } : { ok: false, code: 400, message: parsed.message }
}

/** Custom resources have no protobuf form. */
function unknownFormat(model?: string): string {
  return `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml${model === undefined || hasProtobuf(model) ? `, ${PROTOBUF_TYPE}` : ''}`
}

function syntaxMessage(text: string, error: unknown): string {
  const explained = explainJson(text)
  return explained.ok ? String(error) : explained.message
}

function firstByte(bytes: Buffer): number | undefined {
  return bytes.find((b) => b !== 0x20 && b !== 0x0a && b !== 0x0d && b !== 0x09)
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a patch has made is still of its kind; undefined: it is. */
export function patchedKindError(value: Record<string, unknown>, options: DecodeOptions): string | undefined {
  const model = options.schema.model(options.model)
  const expect = options.expect ?? model?.groupVersionKinds[0]
  return model && expect && checkKind(value, model, expect, options, true)?.message
}

/** Characters of a body that a complaint shows. */
const SHOWN_MAX = 1024

/** A custom resource says what it is. */
const withoutKind = (bytes: Buffer, kind: string): string => `the object provided is unrecognized (must be of type ${kind}): Object 'Kind' is missing in '${bytes.subarray(0, SHOWN_MAX).toString()}' (${summarize(bytes)})`

const NOT_A_VERSION = 'unexpected GroupVersion string'

/** `bare`: only what is wrong, not of what. */
function checkKind(value: Record<string, unknown>, model: ModelSchema, expect: { group: string; version: string; kind: string }, { schema, alsoAs = [] }: DecodeOptions, bare = false): Refused | undefined {
  const { apiVersion, kind } = value
  const unrecognized = bare ? '' : `the object provided is unrecognized (must be of type ${expect.kind}): `
  for (const [name, given] of [['apiVersion', apiVersion], ['kind', kind]] as const) {
    if (given !== undefined && given !== null && typeof given !== 'string') {
      return bad(`${unrecognized}couldn't get version/kind; json parse error: json: cannot unmarshal ${Array.isArray(given) ? 'array' : typeof given === 'boolean' ? 'bool' : typeof given} into Go struct field .${name} of type string`)
    }
  }
  const isTold = model.isCustom && !bare
  // `/v1` is a version of the group without a name, too.
  const givenVersion = (apiVersion as string | undefined)?.replace(/^\/(?=[^/]+$)/, '') || (isTold ? '' : apiVersionOf(expect))
  const givenKind = (kind as string | undefined) || expect.kind
  if (givenKind === expect.kind && (givenVersion === apiVersionOf(expect) || alsoAs.includes(givenVersion))) return undefined
  const slash = givenVersion.indexOf('/')
  if (slash !== givenVersion.lastIndexOf('/')) return bad(`${unrecognized}${NOT_A_VERSION}: ${givenVersion}`)
  if (isTold && givenVersion !== apiVersionOf(expect)) return bad(`the API version in the data (${givenVersion.replace(/^\//, '')}) does not match the expected API version (${apiVersionOf(expect)})`)
  const given = { group: slash < 0 ? '' : givenVersion.slice(0, slash), version: givenVersion.slice(slash + 1), kind: givenKind }
  const isThat = (k: { group: string; version: string; kind: string }) => k.group === given.group && k.version === given.version && k.kind === given.kind
  // DeleteOptions and the like are known in every group version.
  if (!isOneKind(model, expect) && model.groupVersionKinds.some(isThat)) return undefined
  const cannot = bare ? '' : `${given.kind} in version ${JSON.stringify(given.version)} cannot be handled as a ${expect.kind}: `
  for (const other of schema.models()) {
    if (!other.groupVersionKinds.some(isThat)) continue
    if (givenKind === expect.kind) return bad(`the API version in the data (${givenVersion}) does not match the expected API version (${apiVersionOf(expect)})`)
    return bad(`${cannot}converting (${other.definition.split('.').slice(-2).join('.')}) to (${internalPackageOf(expect.group)}.${expect.kind}): unknown conversion`)
  }
  return bad(`${cannot}no kind ${JSON.stringify(given.kind)} is registered for version ${JSON.stringify(given.group === '' ? given.version : givenVersion)} in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"`)
}

/** A model of one kind means that kind alone. */
function isOneKind(model: ModelSchema, expect: { kind: string }): boolean {
  return model.groupVersionKinds.length <= 1 || model.groupVersionKinds[0]?.kind !== expect.kind
}

/** Upstream's summarizeData: enough of the body to recognise it. */
function summarize(bytes: Buffer): string {
  const max = 30
  if (bytes.length === 0) return '<empty>'
  const head = bytes.subarray(0, max)
  const text = bytes[0] === 0x7b ? head.toString() : head.toString('hex')
  return bytes.length > max ? `${text} ...` : text
}

/** Go's package of a group's internal types, as conversions name them. */
function internalPackageOf(group: string): string {
  if (group === '' || group === 'events.k8s.io') return 'core'
  return group === 'internal.apiserver.k8s.io' ? 'apiserverinternal' : (group.split('.')[0] ?? '')
}
