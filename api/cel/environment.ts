/** Kubernetes 1.36's CEL environment: which functions, types and macros expressions may use. */
import { OPERATORS } from './library/operators.ts'
import { STANDARD } from './library/standard.ts'
import type { Overload } from './overload.ts'
import { functionTable } from './overload.ts'
import type { CelType } from './type.ts'
import { BOOL, BYTES, DOUBLE, DURATION, DYN, INT, list, map, NULL, STRING, TIMESTAMP, TYPE, UINT } from './type.ts'

export interface Environment {
  functions: ReadonlyMap<string, readonly Overload[]>
  types: ReadonlyMap<string, CelType>
}

const STANDARD_TYPES: Readonly<Record<string, CelType>> = {
  bool: BOOL, bytes: BYTES, double: DOUBLE, int: INT, uint: UINT, string: STRING, null_type: NULL, type: TYPE, list: list(DYN), map: map(DYN, DYN),
  'google.protobuf.Duration': DURATION, 'google.protobuf.Timestamp': TIMESTAMP,
}

/** Made at the first compilation; some hundred small objects. */
export function kubernetesEnvironment(): Environment {
  return { functions: functionTable(OPERATORS, STANDARD), types: new Map(Object.entries(STANDARD_TYPES)) }
}
