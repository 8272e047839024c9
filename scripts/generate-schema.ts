/**
 * Writes api/schema/generated/{structure,docs}.ts: the shape and the documentation of the Kubernetes v1.36 types, from
 * @kubernetes/client-node (a build-time dependency only) and api/schema/list-types.ts. Format: api/schema/schema-set.ts.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { FIELD_DOCS, LIST_METADATA_DOC } from '../api/schema/field-docs.ts'
import { ATOMIC_STRUCTS, DEFAULTS, FIELD_STRATEGIES, FREE_FORM, LIST_ROWS, MAP_TYPES, QUANTITIES, UNIONS } from '../api/schema/list-types.ts'
import { protobufFields } from '../api/schema/protobuf-fields.ts'
import { WRITTEN_NULLS, WRITTEN_ZEROS } from '../api/schema/written-zeros.ts'

const root = join(import.meta.dirname, '..')
const genDir = join(root, 'node_modules/@kubernetes/client-node/dist/gen')
const outDir = join(root, 'api/schema/generated')
const read = (path: string) => readFileSync(join(genDir, path), 'utf8')

interface Field { name: string; required: boolean; text: string; refs: string[]; description: string }
interface Model { source: string; name: string; description: string; fields: Field[] }

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1'
/** Types of the machinery, in no API group. */
const META_MODELS = new Set([
  'APIGroup', 'APIGroupList', 'APIResource', 'APIResourceList', 'APIVersions', 'Condition', 'DeleteOptions', 'FieldSelectorRequirement', 'GroupResource', 'GroupVersionForDiscovery',
  'LabelSelector', 'LabelSelectorRequirement', 'ListMeta', 'ManagedFieldsEntry', 'ObjectMeta', 'OwnerReference', 'Preconditions', 'ServerAddressByClientCIDR',
  'ShardInfo', 'Status', 'StatusCause', 'StatusDetails', 'WatchEvent',
])
/** Free-form definitions outside meta/v1. */
const DEFINITIONS: Readonly<Record<string, string>> = {
  RawExtension: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
  FieldsV1: `${META}.FieldsV1`,
  ...Object.fromEntries(['JSON', 'JSONSchemaPropsOrBool', 'JSONSchemaPropsOrArray', 'JSONSchemaPropsOrStringArray'].map((n) => [n, `io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.${n}`])),
}
/** Structs without fields, which the dependency leaves out. */
const EMPTY_STRUCTS: Readonly<Record<string, string>> = {
  CustomResourceSubresourceStatus: 'CustomResourceSubresourceStatus defines how to serve the status subresource for CustomResources. Status is represented by the `.status` JSON path inside of a CustomResource. When set, * exposes a /status subresource for the custom resource * PUT requests to the /status subresource take a custom resource object, and ignore changes to anything except the status stanza * PUT/POST/PATCH requests to the custom resource ignore changes to the status stanza',
  V1alpha1StorageVersionSpec: 'StorageVersionSpec is an empty spec.',
  V1alpha2BasicSchedulingPolicy: 'BasicSchedulingPolicy indicates that standard Kubernetes scheduling behavior should be used.',
}

const typeName = (source: string) => source.replace(/^V1(?=[A-Z])/, '')
const used = new Set<string>()
const lookUp = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined => {
  if (!Object.hasOwn(table, key)) return undefined
  used.add(key)
  return table[key]
}
const LISTS = Object.fromEntries(LIST_ROWS.flatMap((row) => row.fields.map((field) => [field, row])))
const QUANTITY_FIELDS = Object.fromEntries(QUANTITIES.map((f) => [f, true]))
const flagged = (table: string) => Object.fromEntries(table.split('\n').flatMap((row) => row.split(' ').slice(1).map((field) => [`${row.split(' ', 1)[0]}.${field}`, true])))
const WRITTEN = flagged(WRITTEN_ZEROS)
const NULLS = flagged(WRITTEN_NULLS)
/** Scalars whose zero is neither written nor says anything. */
const ZERO_IS_NOTHING = new Set(protobufFields().split('\n').flatMap((row) => row.split(' ').slice(1).map((field) => `${row.split(' ', 1)[0]}.${/^[^=]+/.exec(field)?.[0] ?? ''}`)))
const ATOMIC = Object.fromEntries(ATOMIC_STRUCTS.map((s) => [s, true]))

const SCALARS: Readonly<Record<string, string>> = {
  'string ': 's', 'boolean ': 'b', 'number int32': 'i', 'number int64': 'l', 'number double': 'd', 'number ': 'd', 'string byte': 'y',
  'Date date-time': 't', 'V1MicroTime date-time-micro': 'm', 'IntOrString int-or-string': 'o',
}

/** The type as schema-set.ts reads it; refs collects the models it names. */
function encodeType(declared: string, format: string, free: string | undefined, quantity: boolean, refs: string[]): string {
  const inner = (text: string) => encodeType(text, format, free, quantity, refs)
  const list = /^Array<(.*)>$/.exec(declared)?.[1]
  if (list !== undefined) return `[${inner(list)}`
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(declared)?.[1]
  if (map !== undefined) return `{${inner(map)}`
  if (quantity && declared === 'string') return 'q'
  if (declared === 'any') {
    if (free?.startsWith('struct ')) return `>${free.slice(7)}`
    const definition = DEFINITIONS[free ?? '']
    if (definition === undefined) throw new Error('a field of type any has no row in FREE_FORM')
    return `*${definition}`
  }
  const scalar = SCALARS[`${declared} ${format}`] ?? SCALARS[`${declared} `]
  if (scalar) return scalar
  refs.push(declared)
  return `>${typeName(declared)}`
}

function options(key: string, typeText: string): string {
  const row = lookUp(LISTS, key)
  const mapType = lookUp(MAP_TYPES, key)
  const strategy = lookUp(FIELD_STRATEGIES, key)
  const fallback = lookUp(DEFAULTS, key)
  const parts: string[] = []
  if (row) {
    if (typeText[0] !== '[') throw new Error(`${key} is no list`)
    if (row.list === 'set') parts.push('S')
    else if (row.list !== 'atomic') parts.push(`k:${row.list.join(',')}`)
    const mergeKey = row.by ?? (typeof row.list === 'string' ? undefined : row.list[0])
    if (row.patch && mergeKey) parts.push(`p:${mergeKey}`)
    if (row.patch) parts.push(`s:${row.patch}`)
  }
  if (mapType) parts.push(mapType === 'atomic' ? 'M' : 'G')
  if (strategy) parts.push(`s:${strategy}`)
  if (fallback !== undefined) parts.push(`d:${JSON.stringify(fallback)}`)
  return parts.map((p) => `~${p}`).join('')
}

/** The generator escapes quotes, and stars beside slashes that would end its comments. */
const clean = (doc: string | undefined) => (doc ?? '').replaceAll("\\'", "'").replaceAll('\\"', '"').replaceAll('/_*', '/*').replaceAll('*_/', '*/').trim()

/** Fields of these types carry the type's description instead of their own. */
const DESCRIBED_BY_TYPE = new Set(['IntOrString', 'V1MicroTime'])

function describe(model: string, field: string, description: string, type: string, refs: readonly string[]): string {
  if (FIELD_DOCS[`${model}.${field}`] === '') return ''
  if (DESCRIBED_BY_TYPE.has(type)) return FIELD_DOCS[`${model}.${field}`] ?? FIELD_DOCS[field] ?? description
  if (description !== '' || refs.length === 0) return description
  return refs[0] === 'V1ListMeta' ? LIST_METADATA_DOC : (FIELD_DOCS[`${model}.${field}`] ?? FIELD_DOCS[field] ?? '')
}

function parseModelFiles(source: string): Model {
  const js = read(`models/${source}.js`)
  const dts = read(`models/${source}.d.ts`)
  const name = typeName(source)
  const map = JSON.parse(/attributeTypeMap = (\[[\s\S]*?\n\]|\[\]);/.exec(js)?.[1] ?? '[]') as { name: string; baseName: string; type: string; format: string }[]
  const body = dts.slice(dts.indexOf('export declare class'))
  const fields = map.map(({ name: property, baseName, type, format }): Field => {
    const key = `${name}.${baseName}`
    const declared = new RegExp(`(?:\\/\\*\\*\\n\\s*\\* ((?:(?!\\*\\/)[\\s\\S])*?)\\n\\s*\\*\\/\\n)?\\s*'${property.replaceAll('$', '\\$')}'(\\??):`).exec(body)
    if (!declared) throw new Error(`${key} is in the type map and not declared`)
    const refs: string[] = []
    const typeText = encodeType(type, format, lookUp(FREE_FORM, key), lookUp(QUANTITY_FIELDS, key) === true, refs)
    return { name: baseName, required: declared[2] === '', text: typeText + options(key, typeText), refs, description: describe(name, baseName, clean(declared[1]), type, refs) }
  })
  const description = /\/\*\*\n\* ((?:(?!\*\/)[\s\S])*?)\n\*\/\nexport class/.exec(js)?.[1]
  return { source, name, description: clean(description), fields: fields.toSorted((a, b) => (a.name < b.name ? -1 : 1)) }
}

// The directory keeps models of older releases; all.js names those of this one.
const sources = [...read('models/all.js').matchAll(/'\.\.\/models\/(\w+)\.js'/g)].map((m) => m[1] ?? '').filter((s) => s !== 'V1MicroTime' && s !== 'IntOrString')
const models = new Map(sources.map((s) => [s, parseModelFiles(s)]))

/** Group versions by what their API classes mention; core first, because others embed its types and not it theirs. */
const apis = readdirSync(join(genDir, 'apis')).filter((f) => /V\d\w*Api\.js$/.test(f)).map((file) => {
  const path = /localVarPath = '\/(?:api|apis)\/([^{']*\/|)(v\d\w*)\//.exec(read(`apis/${file}`))
  const roots = [...read(`apis/${file.replace('.js', '.d.ts')}`).matchAll(/from '\.\.\/models\/(\w+)\.js'/g)].map((m) => m[1] ?? '').filter((s) => models.has(s))
  return { group: (path?.[1] ?? '').replace(/\/$/, ''), version: path?.[2] ?? '', roots }
}).filter((api) => api.version !== '').toSorted((a, b) => a.group.localeCompare(b.group))

const versionOf = (source: string) => /^(?:[A-Z][a-z]+)?V(\d+(?:(?:alpha|beta)\d+)?)(?=[A-Z])/.exec(source)?.[1]
const packageOf = (group: string, version: string) => {
  if (group === 'apiextensions.k8s.io') return `io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.${version}`
  if (group === 'apiregistration.k8s.io') return `io.k8s.kube-aggregator.pkg.apis.apiregistration.${version}`
  if (group === 'internal.apiserver.k8s.io') return `io.k8s.api.apiserverinternal.${version}`
  return `io.k8s.api.${group === '' ? 'core' : group.split('.')[0]}.${version}`
}

/** Sent to, or mentioned by, other groups' paths than their own. */
const HOMES: Readonly<Record<string, { group: string; version: string }>> = {
  V1Scale: { group: 'autoscaling', version: 'v1' },
  V1Eviction: { group: 'policy', version: 'v1' },
  V1TopologySelectorTerm: { group: '', version: 'v1' },
  V1TopologySelectorLabelRequirement: { group: '', version: 'v1' },
  AuthenticationV1TokenRequest: { group: 'authentication.k8s.io', version: 'v1' },
  CustomResourceSubresourceStatus: { group: 'apiextensions.k8s.io', version: 'v1' },
  V1alpha1StorageVersionSpec: { group: 'internal.apiserver.k8s.io', version: 'v1alpha1' },
  V1alpha2BasicSchedulingPolicy: { group: 'scheduling.k8s.io', version: 'v1alpha2' },
}
const homes = new Map<string, { group: string; version: string }>(Object.entries(HOMES))
const claim = (source: string, api: { group: string; version: string }): void => {
  const model = models.get(source)
  if (!model || META_MODELS.has(model.name)) return
  const home = homes.get(source)
  if (home && (home.group !== api.group || home.version !== api.version)) return
  if (`v${versionOf(source) ?? ''}` !== api.version) return
  if (home && !Object.hasOwn(HOMES, source)) return
  homes.set(source, api)
  for (const field of model.fields) for (const ref of field.refs) claim(ref, api)
}
for (const api of apis) for (const source of api.roots) claim(source, api)
for (const [source, home] of Object.entries(HOMES)) for (const field of models.get(source)?.fields ?? []) for (const ref of field.refs) claim(ref, home)

/** Top-level kinds of the machinery; DeleteOptions and WatchEvent are known in each group version. */
const META_KINDS = new Set(['APIGroup', 'APIGroupList', 'APIResourceList', 'APIVersions', 'Status'])
/** Group versions that upstream still registers for DeleteOptions and WatchEvent though it serves nothing in them. */
const REGISTERED_ONLY = [
  'admission.k8s.io/v1', 'admission.k8s.io/v1beta1', 'apiextensions.k8s.io/v1beta1', 'apiregistration.k8s.io/v1beta1', 'apps/v1beta1', 'apps/v1beta2', 'authentication.k8s.io/v1alpha1', 'authentication.k8s.io/v1beta1',
  'authorization.k8s.io/v1beta1', 'batch/v1beta1', 'discovery.k8s.io/v1beta1', 'events.k8s.io/v1beta1', 'extensions/v1beta1', 'flowcontrol.apiserver.k8s.io/v1beta1', 'flowcontrol.apiserver.k8s.io/v1beta2',
  'flowcontrol.apiserver.k8s.io/v1beta3', 'imagepolicy.k8s.io/v1alpha1', 'node.k8s.io/v1alpha1', 'node.k8s.io/v1beta1', 'policy/v1beta1', 'rbac.authorization.k8s.io/v1alpha1', 'rbac.authorization.k8s.io/v1beta1',
  'scheduling.k8s.io/v1beta1', 'storage.k8s.io/v1alpha1',
]
const servedVersions = [...new Set([...homes.values()].map((h) => `${h.group}/${h.version}`))]
const everywhere = [...new Set([...servedVersions, ...REGISTERED_ONLY])].toSorted((a, b) => (a < b ? -1 : 1))

/** The letters of SCALARS that have a zero which JSON can leave out. */
const HAS_ZERO = /^[sbildy](?:~|$)/

function zeroOf(model: string, { name, text }: Field): '' | '+' | '-' | '0' {
  const key = `${model}.${name}`
  if (lookUp(WRITTEN, key) || (name === 'metadata' && text.startsWith('>') && model !== 'APIGroup')) return '+'
  if (lookUp(NULLS, key)) return '0'
  return HAS_ZERO.test(text) && ZERO_IS_NOTHING.has(key) ? '-' : ''
}

function line(model: Model): string {
  const home = homes.get(model.source)
  const isMeta = META_MODELS.has(model.name)
  if (!home && !isMeta && model.name !== 'VersionInfo') throw new Error(`${model.source}: no API group uses it`)
  const pkg = isMeta ? META : home ? packageOf(home.group, home.version) : 'io.k8s.apimachinery.pkg.version'
  const names = new Set(model.fields.map((f) => f.name))
  const isKind = !isMeta && home && names.has('apiVersion') && names.has('kind') && names.has('metadata')
  const kinds = model.name === 'DeleteOptions' || model.name === 'WatchEvent' ? everywhere : META_KINDS.has(model.name) ? ['/v1'] : isKind ? [`${home.group}/${home.version}`] : []
  const fields = model.fields.map((f) => `${f.name}${f.required ? '!' : ''}${zeroOf(model.name, f)}=${f.text}`)
  return [model.name, pkg + (lookUp(ATOMIC, model.name) ? '!' : ''), kinds.join(',') || '-', ...fields].join(' ')
}

const empty = Object.entries(EMPTY_STRUCTS).map(([name, description]): Model => ({ source: name, name, description, fields: [] }))
const all = [...models.values(), ...empty].toSorted((a, b) => (a.name < b.name ? -1 : 1))
const structure = all.map(line).join('\n')

const modelNames = new Set(all.map((m) => m.name))
const docs = Object.fromEntries(all.map((m) => {
  const union = UNIONS[m.name]
  const unions = union && [{ ...(union.discriminator && { discriminator: union.discriminator }), 'fields-to-discriminateBy': union.members }]
  return [m.name, [m.description, Object.fromEntries(m.fields.filter((f) => f.description).map((f) => [f.name, f.description])), ...(unions ? [unions] : [])]]
}))

const stale = [...Object.keys(LISTS), ...Object.keys(MAP_TYPES), ...Object.keys(FIELD_STRATEGIES), ...QUANTITIES, ...Object.keys(FREE_FORM), ...Object.keys(DEFAULTS), ...Object.keys(WRITTEN), ...Object.keys(NULLS), ...ATOMIC_STRUCTS].filter((k) => !used.has(k))
stale.push(...Object.keys(UNIONS).filter((k) => !modelNames.has(k)))
if (stale.length > 0) throw new Error(`api/schema/list-types.ts or written-zeros.ts names what no model has: ${stale.join(', ')}`)

const packed = brotliCompressSync(JSON.stringify(docs), { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 } }).toString('base64')
const header = '// Generated by scripts/generate-schema.ts; not to be edited.\n'
// Functions, not constants: V8 drops the text with the function's code once nobody has called it for a while.
mkdirSync(outDir, { recursive: true })
writeFileSync(join(outDir, 'structure.ts'), `${header}export function structure(): string {\n  return ${JSON.stringify(structure)}\n}\n`)
writeFileSync(join(outDir, 'docs.ts'), `${header}export function packedDocs(): string {\n  return ${JSON.stringify(packed)}\n}\n`)
