/** What is said of values that no overload takes: upstream's words differ by which part of it finds out. */
import type { CelValue } from './value.ts'
import { EvalError, noSuchOverload, typeName } from './value.ts'

const NUMBERS = ['int', 'uint', 'double']
const TIMES = ['google.protobuf.Timestamp', 'google.protobuf.Duration']
const ORDERED = [...NUMBERS, ...TIMES, 'bool', 'string', 'bytes']

/** Operators ask the first value's type; types that can do it leave the second value to the type's own method. */
const CAPABLE: Readonly<Record<string, readonly string[]>> = {
  '_+_': [...NUMBERS, ...TIMES, 'string', 'bytes', 'list'], '_-_': [...NUMBERS, ...TIMES], '_*_': NUMBERS, '_/_': NUMBERS, '_%_': ['int', 'uint'],
  '_<_': ORDERED, '_<=_': ORDERED, '_>_': ORDERED, '_>=_': ORDERED, '-_': ['int', 'double', 'bool', 'google.protobuf.Duration'],
  size: ['string', 'bytes', 'list', 'map'], sort: ['list'],
}

/** Types with methods of their own, which complain by themselves. */
const RECEIVERS = ['string', ...TIMES]

/** Functions that look at their values only inside. */
const PLAIN: ReadonlySet<string> = new Set(['_&&_', '_||_', '_?_:_', '!_', '@in', '_==_', '_!=_', 'contains', 'startsWith', 'endsWith', 'matches', 'find', 'findAll'])

/** Go's names of what is no list and no map: they are what upstream shows. */
const GO_NAMES: Readonly<Record<string, string>> = {
  bool: 'types.Bool', bytes: 'types.Bytes', double: 'types.Double', int: 'types.Int', uint: 'types.Uint', string: 'types.String', null_type: 'types.Null', type: '*types.Type',
  optional_type: '*types.Optional', 'google.protobuf.Duration': 'types.Duration', 'google.protobuf.Timestamp': 'types.Timestamp',
  'kubernetes.Quantity': 'cel.Quantity', 'kubernetes.Semver': 'cel.Semver', 'kubernetes.URL': 'cel.URL', 'net.IP': 'cel.IP', 'net.CIDR': 'cel.CIDR', 'kubernetes.NamedFormat': 'cel.Format',
}

/** A macro over something without elements. */
export function notIterable(v: CelValue, variables: 1 | 2): EvalError {
  const name = typeName(v)
  const shown = GO_NAMES[name] ?? name
  return new EvalError(variables === 1 ? `got '${shown}', expected iterable type` : `unsupported comprehension range type: ${shown}`)
}

export function misfit(fn: string, values: readonly CelValue[]): EvalError {
  const types = values.map(typeName)
  const first = types[0] ?? ''
  const capable = CAPABLE[fn]
  if (PLAIN.has(fn) || (capable && (capable.includes(first) || RECEIVERS.includes(first)))) return noSuchOverload()
  if (fn === 'flatten') return new EvalError(`no such overload: ${first === 'map' ? 'map(dyn, dyn)' : first}.flatten(${types.slice(1).join(', ')})`)
  return new EvalError(`no such overload: ${capable ? fn : `${fn}(${types.join(', ')})`}`)
}
