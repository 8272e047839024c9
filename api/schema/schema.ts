/**
 * The shape of every built-in type, as data. Generated at build time from @kubernetes/client-node's type maps plus our
 * own table of list types, merge keys, list-map keys and structural facts (`list-types.ts`). One table feeds decoding
 * (unknown fields, wrong types), OpenAPI v2 and v3, `kubectl explain`, strategic merge patch and server-side apply.
 */
export type ScalarType = 'string' | 'boolean' | 'int32' | 'int64' | 'double' | 'byte' | 'date-time' | 'micro-time' | 'quantity' | 'int-or-string'

export type FieldType =
  | { kind: 'scalar'; scalar: ScalarType }
  | { kind: 'ref'; model: string }
  | { kind: 'list'; items: FieldType; listType: 'atomic' | 'set' | 'map'; listMapKeys?: readonly string[]; patchMergeKey?: string; patchStrategy?: string }
  | { kind: 'map'; values: FieldType; mapType: 'granular' | 'atomic' }
  /** Arbitrary JSON (RawExtension, FieldsV1, JSON): nothing inside is checked. */
  | { kind: 'any' }

export interface FieldSchema {
  type: FieldType
  required: boolean
  description: string
  /** e.g. `retainKeys` on volumes and deployment strategy. */
  patchStrategy?: string
  /** OpenAPI `default`, where upstream states one. */
  default?: unknown
}

export interface ModelSchema {
  /** Name of the interface in api/types, e.g. `Pod`, `V1beta1IPAddress`. */
  model: string
  /** Name in OpenAPI, e.g. `io.k8s.api.core.v1.Pod`. */
  definition: string
  description: string
  fields: Readonly<Record<string, FieldSchema>>
  /** `atomic`: server-side apply owns the struct as a whole (e.g. ObjectReference, LabelSelector). */
  structType: 'granular' | 'atomic'
}

export interface SchemaSet {
  /** Undefined for a name nobody knows. */
  model(name: string): ModelSchema | undefined
  models(): Iterable<ModelSchema>
}

export interface DecodeProblem { kind: 'unknown' | 'duplicate' | 'type'; path: string; message: string }
