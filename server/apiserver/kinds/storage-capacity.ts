/** CSIStorageCapacity and VolumeAttributesClass. */
import type { CSIStorageCapacity, VolumeAttributesClass } from '#api/types/index.ts'
import { checkDnsSubdomain, checkQualifiedName } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { checkLabelSelector, immutable, named, quantity, requiredName } from './check.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

export const csiStorageCapacityStrategy: KindStrategy<CSIStorageCapacity> = {
  requiresRevision: true,
  generation: false,
  validate: validateCapacity,
  validateUpdate: (capacity, old) => [
    ...validateCapacity(capacity),
    ...immutable('nodeTopology', capacity.nodeTopology, old.nodeTopology),
    ...immutable('storageClassName', capacity.storageClassName, old.storageClassName),
  ],
}

function validateCapacity(capacity: CSIStorageCapacity): FieldError[] {
  return [
    ...checkLabelSelector('nodeTopology', capacity.nodeTopology),
    ...named('storageClassName', capacity.storageClassName ?? '', checkDnsSubdomain),
    ...(capacity.capacity === undefined ? [] : quantity('capacity', capacity.capacity)),
  ]
}

const PARAMETERS_MAX = 512
const PARAMETERS_BYTES_MAX = 256 * 1024

export const volumeAttributesClassStrategy: KindStrategy<VolumeAttributesClass> = {
  generation: false,
  validate: validateAttributes,
  validateUpdate: (attributes, old) => [
    ...(attributes.driverName === old.driverName ? [] : [forbidden('driverName', 'updates to driverName are forbidden.')]),
    ...(semanticEqual(attributes.parameters, old.parameters, 'parameters') ? [] : [forbidden('parameters', 'updates to parameters are forbidden.')]),
    ...validateAttributes(attributes),
  ],
  columns: [nameColumn(), column('DriverName', 'Name of the CSI driver This field is immutable.', (o) => o.driverName), ageColumn()],
}

function validateAttributes(attributes: VolumeAttributesClass): FieldError[] {
  return [...requiredName('driverName', attributes.driverName?.toLowerCase(), checkQualifiedName), ...validateParameters('parameters', attributes.parameters ?? {}, 'required')]
}

/** Also those of StorageClasses. */
export function validateParameters(at: string, parameters: Readonly<Record<string, string>>, need: 'required' | 'optional' = 'optional'): FieldError[] {
  const entries = Object.entries(parameters)
  if (entries.length > PARAMETERS_MAX) return [tooLong(at, PARAMETERS_MAX)]
  const out: FieldError[] = []
  if (entries.length === 0 && need === 'required') out.push(required(at, 'must contain at least one key/value pair'))
  let sizeBytes = 0
  for (const [key, value] of entries) {
    if (key === '') out.push(invalid(at, key, 'field can not be empty.'))
    sizeBytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (sizeBytes > PARAMETERS_BYTES_MAX) out.push(tooLong(at, PARAMETERS_BYTES_MAX))
  return out
}
