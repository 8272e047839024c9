/** Random objects of a model: mostly of the right types, with the values that programs stumble over. */
import { builtinSchema, type FieldType, type ScalarType } from '#api/schema/index.ts'
import type { Chance } from './chance.ts'

export type Json = Record<string, unknown>

const DEPTH_MAX = 7
/** Dialled by nobody: the only address a generated object may name. */
const NOWHERE = 'https://127.0.0.1:1/'

const TEXTS = ['a', 'b', 'default', 'web', 'x-y', 'Always', 'TCP', 'UDP', 'ClusterIP', 'None', '', ' ', '/', '..', 'A', 'a.b', 'a/b', '-', '0', '*', 'UPPER', 'ü', '💥', '\u0000', '\ud800', '%s%n', "'\"`", '{{}}', '10.0.0.1', '10.43.0.7', '::1', '10.0.0.0/8', NOWHERE, '__proto__', 'constructor', 'kubernetes.io/x', 'self == 1', 'object.x', '{.spec.replicas}', 'x'.repeat(300), '2026-01-01T00:00:00Z', '1Gi']
const NUMBERS = [0, 1, -1, 2, 80, 443, 30_000, 65_535, 65_536, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 53, -(2 ** 63), 2 ** 63, 1e300, 0.5, -0]
const QUANTITIES = ['0', '1', '100m', '1Gi', '-1', '1e3', '1E', '9223372036854775807', '1e400', '0.0000000001', '', 'x', '1.5.2', '1Ki']

/** What a field of such a name may hold. */
const TAME: Readonly<Record<string, readonly string[]>> = { protocol: ['TCP', 'UDP'], operator: ['Exists', 'In', 'Equal'], type: ['ClusterIP', 'Resource', 'RollingUpdate'], kind: ['Pod', 'User', 'Deployment'], apiGroup: ['', 'apps'], name: ['a', 'b'] }

const SCALARS: Readonly<Record<ScalarType, (chance: Chance) => unknown>> = {
  string: (c) => c.pick(TEXTS),
  boolean: (c) => c.oneIn(2),
  int32: (c) => c.pick(NUMBERS),
  int64: (c) => c.pick(NUMBERS),
  double: (c) => c.pick(NUMBERS),
  byte: (c) => c.pick(['', 'YQ==', 'YQ=', 'bm8=\n', '####']),
  'date-time': (c) => c.pick(['2026-01-01T00:00:00Z', '2026-13-01T00:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '', 'now']),
  'micro-time': (c) => c.pick(['2026-01-01T00:00:00.000001Z', '2026-01-01T00:00:00Z', '']),
  quantity: (c) => (c.oneIn(4) ? c.pick(NUMBERS) : c.pick(QUANTITIES)),
  'int-or-string': (c) => (c.oneIn(2) ? c.pick(NUMBERS) : c.pick(['25%', '101%', '-1%', 'http', '', '%'])),
}

export function objectOf(chance: Chance, model: string, depth = 0): Json {
  const schema = builtinSchema.model(model)
  const object: Json = {}
  for (const [key, field] of Object.entries(schema?.fields ?? {})) {
    if (!field.required && !chance.oneIn(depth < 2 ? 2 : 4)) continue
    if (depth > DEPTH_MAX) continue
    const tame = TAME[key]
    object[key] = tame && field.type.kind === 'scalar' && !chance.oneIn(3) ? chance.pick(tame) : valueOf(chance, field.type, depth + 1)
  }
  return object
}

function valueOf(chance: Chance, type: FieldType, depth: number): unknown {
  if (chance.oneIn(60)) return null
  switch (type.kind) {
    case 'scalar': return SCALARS[type.scalar](chance)
    case 'ref': return objectOf(chance, type.model, depth)
    case 'list': return Array.from({ length: chance.int(4) }, () => valueOf(chance, type.items, depth + 1))
    case 'map': return Object.fromEntries(Array.from({ length: chance.int(3) }, () => [chance.pick(TEXTS), valueOf(chance, type.values, depth + 1)]))
    case 'any': return anyJson(chance, depth)
  }
}

/** JSON of no type at all. */
export function anyJson(chance: Chance, depth = 0): unknown {
  switch (chance.int(depth > DEPTH_MAX ? 5 : 7)) {
    case 0: return null
    case 1: return chance.oneIn(2)
    case 2: return chance.pick(NUMBERS)
    case 3: case 4: return chance.pick(TEXTS)
    case 5: return Array.from({ length: chance.int(4) }, () => anyJson(chance, depth + 1))
    default: return Object.fromEntries(Array.from({ length: chance.int(4) }, () => [chance.pick(TEXTS), anyJson(chance, depth + 1)]))
  }
}

/** Puts something else in one place of a value. Changes it. */
export function mutateStructure(chance: Chance, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || chance.oneIn(12)) return anyJson(chance)
  const keys = Object.keys(value)
  if (keys.length === 0) return Array.isArray(value) ? [anyJson(chance)] : { [chance.pick(TEXTS)]: anyJson(chance) }
  const key = chance.pick(keys)
  const holder = value as Json
  switch (chance.int(5)) {
    case 0:
      if (Array.isArray(value)) value.splice(Number(key), 1)
      else delete holder[key]
      return value
    case 1:
      if (Array.isArray(value)) value.push(holder[key])
      else Object.defineProperty(holder, chance.pick(TEXTS), { value: holder[key], enumerable: true, configurable: true, writable: true })
      return value
    default:
      holder[key] = mutateStructure(chance, holder[key])
      return value
  }
}
