/** CEL's types as plain data, how they are written in messages, and the bounds (`max`) that cost estimates are made from. */

export type CelType =
  /** `max`: that of its text or elements, whatever it turns out to be; absent: nothing to speak of. */
  | { readonly kind: 'bool' | 'int' | 'uint' | 'double' | 'null' | 'dyn' | 'any' | 'error'; readonly max?: number }
  /** `max`: most bytes of text, or most bytes; absent: unknown. */
  | { readonly kind: 'string' | 'bytes' | 'timestamp' | 'duration'; readonly max?: number }
  | CelListType
  | CelMapType
  | CelObjectType
  /** Types with functions but without fields (`optional_type`, `net.IP`); `struct` ones compare by identity of name as protobuf messages do. */
  | { readonly kind: 'opaque'; readonly name: string; readonly params: readonly CelType[] }
  /** The type of a type value; `of` absent: any. */
  | { readonly kind: 'type'; readonly of?: CelType }
  /** A type parameter of an overload, or a variable of the checker. */
  | { readonly kind: 'param'; readonly name: string }
  /** A union only known when evaluating, such as int-or-string; `max` bounds its text. */
  | { readonly kind: 'dynamic-union'; readonly max: number }

export interface CelListType {
  readonly kind: 'list'
  readonly element: CelType
  readonly max?: number
  /** `x-kubernetes-list-type`: decides equality and `+`. Absent: atomic. */
  readonly listType?: 'set' | 'map' | 'atomic'
  /** Unescaped names of the key fields of a `map` list. */
  readonly mapKeys?: readonly string[]
  readonly nullable?: boolean
}

export interface CelMapType { readonly kind: 'map'; readonly key: CelType; readonly value: CelType; readonly max?: number }

export interface CelField {
  readonly type: CelType
  /** The property's name in JSON; the CEL name is escaped (`escapeName`). */
  readonly jsonName: string
  /** null is a value of its own; otherwise a null counts as an absent field. */
  readonly nullable?: boolean
}

export interface CelObjectType {
  readonly kind: 'object'
  /** Unique in one compilation; shown in messages. Two object types of one name are the same type. */
  readonly name: string
  /** By CEL name; made when first asked for. */
  field(name: string): CelField | undefined
  fieldNames(): Iterable<string>
  /** True where a rule may write `Name{field: value}`. */
  readonly constructible?: boolean
}

export const BOOL: CelType = { kind: 'bool' }
export const INT: CelType = { kind: 'int' }
export const UINT: CelType = { kind: 'uint' }
export const DOUBLE: CelType = { kind: 'double' }
export const STRING: CelType = { kind: 'string' }
export const BYTES: CelType = { kind: 'bytes' }
export const NULL: CelType = { kind: 'null' }
export const TIMESTAMP: CelType = { kind: 'timestamp' }
export const DURATION: CelType = { kind: 'duration' }
export const DYN: CelType = { kind: 'dyn' }
export const ERROR: CelType = { kind: 'error' }
export const TYPE: CelType = { kind: 'type' }

export const list = (element: CelType, max?: number): CelListType => (max === undefined ? { kind: 'list', element } : { kind: 'list', element, max })
export const map = (key: CelType, value: CelType, max?: number): CelMapType => (max === undefined ? { kind: 'map', key, value } : { kind: 'map', key, value, max })
export const opaque = (name: string, ...params: CelType[]): CelType => ({ kind: 'opaque', name, params })
export const optional = (of: CelType): CelType => opaque('optional_type', of)
export const typeOf = (of: CelType): CelType => ({ kind: 'type', of })
export const param = (name: string): CelType => ({ kind: 'param', name })

/** An object type from a table of fields; keys are CEL names and JSON names at once. */
export function object(name: string, fields: Readonly<Record<string, CelType>>): CelObjectType {
  const table = new Map(Object.entries(fields).map(([jsonName, type]) => [jsonName, { type, jsonName }]))
  return { kind: 'object', name, field: (f) => table.get(f), fieldNames: () => table.keys() }
}

export const isDyn = (t: CelType): boolean => t.kind === 'dyn' || t.kind === 'any' || t.kind === 'dynamic-union'

/** The name a type value prints as and `type(x) == y` compares: without parameters. */
export function typeName(t: CelType): string {
  switch (t.kind) {
    case 'null': return 'null_type'
    case 'timestamp': return 'google.protobuf.Timestamp'
    case 'duration': return 'google.protobuf.Duration'
    case 'object': case 'opaque': case 'param': return t.name
    case 'dynamic-union': return 'dyn'
    default: return t.kind
  }
}

/** As upstream words types in its errors: `list(int)`, `map(string, dyn)`. */
export function formatType(t: CelType): string {
  switch (t.kind) {
    case 'error': return '!error!'
    case 'dynamic-union': return 'dyn'
    case 'list': return `list(${formatType(t.element)})`
    case 'map': return `map(${formatType(t.key)}, ${formatType(t.value)})`
    case 'type': return t.of ? `type(${formatType(t.of)})` : 'type'
    case 'opaque': return t.params.length ? `${t.name}(${t.params.map(formatType).join(', ')})` : t.name
    case 'object': case 'param': return t.name
    default: return t.kind
  }
}

export function sameType(a: CelType, b: CelType): boolean {
  if (a === b) return true
  if (isDyn(a) && isDyn(b)) return true
  if (a.kind !== b.kind) return false
  switch (a.kind) {
    case 'list': return sameType(a.element, (b as CelListType).element)
    case 'map': return sameType(a.key, (b as CelMapType).key) && sameType(a.value, (b as CelMapType).value)
    case 'object': case 'param': return a.name === (b as { name: string }).name
    case 'opaque': {
      const other = b as typeof a
      return a.name === other.name && a.params.length === other.params.length && a.params.every((p, i) => sameType(p, other.params[i] ?? DYN))
    }
    case 'type': {
      const other = b as typeof a
      return a.of && other.of ? sameType(a.of, other.of) : a.of === other.of
    }
    default: return true
  }
}
