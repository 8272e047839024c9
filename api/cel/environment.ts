/** Kubernetes 1.36's CEL environment: which functions, types and macros expressions may use. */
import { AUTHORIZATION } from './library/authorization.ts'
import { FORMAT_FUNCTIONS, JSON_PATCH } from './library/formats.ts'
import { IPS } from './library/ips.ts'
import { LISTS, MAP_INSERTS, OPTIONALS, SETS } from './library/lists.ts'
import { OPERATORS } from './library/operators.ts'
import { QUANTITIES, SEMVERS } from './library/quantities.ts'
import { REGEXES } from './library/regexes.ts'
import { STANDARD } from './library/standard.ts'
import { STRINGS } from './library/strings.ts'
import { URLS } from './library/urls.ts'
import type { Declaration, Overload } from './overload.ts'
import { functionTable } from './overload.ts'
import type { CelType } from './type.ts'
import { BOOL, BYTES, DOUBLE, DURATION, DYN, INT, list, map, NULL, opaque, optional, STRING, TIMESTAMP, TYPE, UINT } from './type.ts'

export interface Environment {
  functions: ReadonlyMap<string, readonly Overload[]>
  types: ReadonlyMap<string, CelType>
  /** True: `[1, 'a']` may be a list of dyn, as CEL has it by itself; Kubernetes refuses it. */
  mixedLiterals?: boolean
}

const STANDARD_TYPES: Readonly<Record<string, CelType>> = {
  bool: BOOL, bytes: BYTES, double: DOUBLE, int: INT, uint: UINT, string: STRING, null_type: NULL, type: TYPE, list: list(DYN), map: map(DYN, DYN),
  'google.protobuf.Duration': DURATION, 'google.protobuf.Timestamp': TIMESTAMP,
  'net.IP': opaque('net.IP'), 'net.CIDR': opaque('net.CIDR'), optional_type: optional(DYN),
}

const LIBRARIES: readonly (readonly Declaration[])[] = [
  OPERATORS, STANDARD, OPTIONALS, STRINGS, LISTS, SETS, MAP_INSERTS, REGEXES, URLS, IPS, QUANTITIES, SEMVERS, FORMAT_FUNCTIONS, AUTHORIZATION,
]

const made = new Map<boolean, Environment>()

/** Made when first needed and kept: some four hundred small objects. `patches`: with what only mutating policies have. */
export function kubernetesEnvironment({ patches = false } = {}): Environment {
  const environment = made.get(patches) ?? { functions: functionTable(...LIBRARIES, ...(patches ? [JSON_PATCH] : [])), types: new Map(Object.entries(STANDARD_TYPES)) }
  made.set(patches, environment)
  return environment
}
