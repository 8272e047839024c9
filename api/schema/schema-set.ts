/**
 * A SchemaSet over the generated text: one line per model, parsed when that model is first asked for, because a server
 * uses a fraction of the 760. The format is private to this file and scripts/generate-schema.ts:
 *
 *   Model package[!] group/version/Kind,... name[!][+|-|0]=type[~option]... ...
 *
 * separated by single spaces; `!` after the package: atomic struct; after a field's name: required; `+`: its zero is written, `0`: as null, `-`: omitted. Types: s string,
 * b boolean, i int32, l int64, d double, y byte, t date-time, m micro-time, q quantity, o int-or-string, `*Name` any,
 * `>Model` reference, `[T` list, `{T` map. Options: `~k:a,b` list map keys, `~S` set, `~M` atomic, `~G` granular,
 * `~p:key` merge key, `~s:strategy`, `~d:json` default.
 */
import type { FieldSchema, FieldType, GroupVersionKind, ModelDocs, ModelSchema, ScalarType, SchemaSet } from './schema.ts'

export interface SchemaSource {
  structure: () => string
  /** JSON: `{model: [description, {field: description}, unions?]}`. */
  docs: () => string
}

export function createSchemaSet(source: SchemaSource): SchemaSet {
  const types = new Map<string, FieldType>()
  const models = new Map<string, ModelSchema | string>()
  const index = () => {
    if (models.size > 0) return
    for (const line of source.structure().split('\n')) models.set(line.slice(0, line.indexOf(' ')), line)
  }
  const model = (name: string): ModelSchema | undefined => {
    index()
    const found = models.get(name)
    if (typeof found !== 'string') return found
    const parsed = parseModel(found, types)
    models.set(name, parsed)
    return parsed
  }
  return {
    model,
    *models() {
      index()
      for (const [name, known] of models) yield typeof known === 'string' ? parseModel(known, types) : (model(name) as ModelSchema)
    },
    docs() {
      const packed = JSON.parse(source.docs()) as Record<string, [string, Record<string, string>, unknown[]?]>
      return new Map(Object.entries(packed).map(([name, [description, fields, unions]]): [string, ModelDocs] => [name, { description, fields, ...(unions && { unions }) }]))
    },
  }
}

const SCALARS: Readonly<Record<string, ScalarType>> = {
  s: 'string', b: 'boolean', i: 'int32', l: 'int64', d: 'double', y: 'byte', t: 'date-time', m: 'micro-time', q: 'quantity', o: 'int-or-string',
}

const ZEROS: Readonly<Record<string, FieldSchema['zero']>> = { '+': 'written', '-': 'omitted', '0': 'null' }

function parseModel(line: string, types: Map<string, FieldType>): ModelSchema {
  const [model = '', pkg = '', kinds = '', ...fieldTexts] = line.split(' ')
  const fields = Object.create(null) as Record<string, FieldSchema>
  const written: string[] = []
  const nulls: string[] = []
  for (const text of fieldTexts) {
    const equals = text.indexOf('=')
    const zero = ZEROS[text[equals - 1] ?? '']
    const end = zero ? equals - 1 : equals
    const required = text[end - 1] === '!'
    const name = text.slice(0, required ? end - 1 : end)
    const field = parseField(text.slice(equals + 1), required, types)
    fields[name] = zero ? { ...field, zero } : field
    if (zero === 'written') written.push(name)
    else if (zero === 'null') nulls.push(name)
  }
  const atomic = pkg.endsWith('!')
  const kindName = kindOf(model)
  return {
    model,
    definition: `${atomic ? pkg.slice(0, -1) : pkg}.${kindName}`,
    fields,
    names: Object.keys(fields).sort(),
    written,
    nulls,
    structType: atomic ? 'atomic' : 'granular',
    groupVersionKinds: kinds === '-' ? [] : kinds.split(',').map((gv): GroupVersionKind => ({ group: gv.slice(0, gv.indexOf('/')), version: gv.slice(gv.indexOf('/') + 1), kind: kindName })),
  }
}

/** `CoreV1Event` and `V1beta1IPAddress` are called Event and IPAddress on the wire. */
export function kindOf(model: string): string {
  if (model === 'VersionInfo') return 'Info'
  return model.replace(/^(?:[A-Z][a-z]+)?V\d+(?:(?:alpha|beta)\d+)?(?=[A-Z])/, '')
}

function parseField(text: string, required: boolean, types: Map<string, FieldType>): FieldSchema {
  const [typeText = '', ...options] = text.split('~')
  const rest = options.filter((o) => !o.startsWith('d:') && !(o.startsWith('s:') && typeText[0] !== '['))
  const key = [typeText, ...rest].join('~')
  let type = types.get(key)
  if (!type) {
    type = parseType(typeText, rest)
    types.set(key, type)
  }
  const field: FieldSchema = { type, required }
  for (const o of options) {
    if (o.startsWith('d:')) field.default = JSON.parse(o.slice(2)) as unknown
    else if (o.startsWith('s:') && typeText[0] !== '[') field.patchStrategy = o.slice(2)
  }
  return field
}

function parseType(text: string, options: readonly string[]): FieldType {
  const option = (name: string) => options.find((o) => o.startsWith(`${name}:`))?.slice(2)
  switch (text[0]) {
    case '>': return { kind: 'ref', model: text.slice(1), ...(options.includes('G') && { structType: 'granular' as const }) }
    case '*': return text.length > 1 ? { kind: 'any', definition: text.slice(1) } : { kind: 'any' }
    case '{': return { kind: 'map', values: parseType(text.slice(1), []), mapType: options.includes('M') ? 'atomic' : 'granular' }
    case '[': {
      const keys = option('k')?.split(',')
      const patchStrategy = option('s')
      const patchMergeKey = option('p')
      return {
        kind: 'list',
        items: parseType(text.slice(1), []),
        listType: keys ? 'map' : options.includes('S') ? 'set' : 'atomic',
        ...(keys && { listMapKeys: keys }),
        ...(patchStrategy !== undefined && { patchStrategy }),
        ...(patchMergeKey !== undefined && { patchMergeKey }),
      }
    }
    default: {
      const scalar = SCALARS[text]
      if (!scalar) throw new Error(`bug: generated schema has the unknown type ${text}`)
      return { kind: 'scalar', scalar }
    }
  }
}
