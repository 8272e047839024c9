/**
 * The shape of every built-in type, as data. Generated at build time from @kubernetes/client-node's type maps plus our
 * own table of list types, merge keys, list-map keys and structural facts (`list-types.ts`). One table feeds decoding
 * (unknown fields, wrong types), OpenAPI v2 and v3, `kubectl explain`, strategic merge patch and server-side apply.
 */
export type ScalarType = 'string' | 'boolean' | 'int32' | 'int64' | 'double' | 'byte' | 'date-time' | 'micro-time' | 'quantity' | 'int-or-string'

export type FieldType =
  | { kind: 'scalar'; scalar: ScalarType }
  /** `structType` overrides the model's own for this one field. */
  | { kind: 'ref'; model: string; structType?: 'granular' | 'atomic' }
  | { kind: 'list'; items: FieldType; listType: 'atomic' | 'set' | 'map'; listMapKeys?: readonly string[]; patchMergeKey?: string; patchStrategy?: string }
  | { kind: 'map'; values: FieldType; mapType: 'granular' | 'atomic' }
  /** Arbitrary JSON (RawExtension, FieldsV1, JSON): nothing inside is checked. `definition`: its name in OpenAPI. */
  | { kind: 'any'; definition?: string }

export interface FieldSchema {
  type: FieldType
  required: boolean
  /** On fields that are no lists: `retainKeys` on a deployment's strategy. For lists see the type. */
  patchStrategy?: string
  /**
   * What Go's type makes of the zero value (`""`, 0, false, a struct of zeros): `omitted` leaves it out, `written` writes it even when nobody has set
   * it; `null` is a list, a map, a time or a pointer that Go writes as null when nobody has set it. Absent: one that says what it says.
   */
  zero?: 'omitted' | 'written' | 'null'
  /** OpenAPI `default`, where upstream states one; also what a missing key of an associative list stands for. */
  default?: unknown
}

export interface ModelSchema {
  /** Name of the interface in api/types, e.g. `Pod`, `V1beta1IPAddress`. */
  model: string
  /** Name in OpenAPI, e.g. `io.k8s.api.core.v1.Pod`. */
  definition: string
  /** In canonical (alphabetical) order; has no prototype, so that any key may be looked up. */
  fields: Readonly<Record<string, FieldSchema>>
  /** `atomic`: server-side apply owns the struct as a whole (e.g. ObjectReference, LabelSelector). */
  structType: 'granular' | 'atomic'
  /** Names of all fields, in order. */
  names: readonly string[]
  /** Names of the fields whose zero is `written`. */
  written: readonly string[]
  /** Names of the fields whose zero is `null`. */
  nulls: readonly string[]
  /** Empty for types that are no kinds. */
  groupVersionKinds: readonly GroupVersionKind[]
  /** Made from a custom resource's schema: no Go type stands behind it, and it may have fields that `fields` does not name. */
  isCustom?: boolean
  /** The type of such fields. Absent: there are none. */
  rest?: FieldType
}

export interface GroupVersionKind { group: string; version: string; kind: string }

/** What people read: kept apart because it is ten times the rest and wanted rarely. */
export interface ModelDocs {
  description: string
  /** By field; a field whose type is a model and has no description of its own is absent. */
  fields: Readonly<Record<string, string>>
  /** OpenAPI's x-kubernetes-unions. */
  unions?: readonly unknown[]
}

export interface SchemaSet {
  /** Undefined for a name nobody knows. */
  model(name: string): ModelSchema | undefined
  models(): Iterable<ModelSchema>
  /** Unpacks all documentation (about 1.5 MB of text): ask once, use, let go. */
  docs(): ReadonlyMap<string, ModelDocs>
}

export interface DecodeProblem { kind: 'unknown' | 'duplicate' | 'type'; path: string; message: string }
