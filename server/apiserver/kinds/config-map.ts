/** ConfigMaps: keys that can be file names, a bound on size, and immutability on demand. */
import type { ConfigMap } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { validateData } from './volume-validation.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

/** Of all values together; ConfigMaps and Secrets alike. */
export const DATA_BYTES_MAX = 1024 * 1024

const base64Bytes = (text: string): number => Math.floor((text.replace(/=+$/, '').length * 3) / 4)

export const configMapStrategy: KindStrategy<ConfigMap> = {
  generation: false,

  validate(map): FieldError[] {
    const { errors, sizeBytes } = validateData({ data: map.data, binaryData: map.binaryData }, (field, value) => (field === 'data' ? Buffer.byteLength(value) : base64Bytes(value)))
    for (const key of Object.keys(map.binaryData ?? {})) if (Object.hasOwn(map.data ?? {}, key)) errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'))
    if (sizeBytes > DATA_BYTES_MAX) errors.push(tooLong('[]', DATA_BYTES_MAX))
    return errors
  },

  validateUpdate(map, old, ctx): FieldError[] {
    const out: FieldError[] = []
    if (old.immutable) {
      if (!map.immutable) out.push(forbidden('immutable', 'field is immutable when `immutable` is set'))
      if (!semanticEqual(map.data, old.data, 'data')) out.push(forbidden('data', 'field is immutable when `immutable` is set'))
      if (!semanticEqual(map.binaryData, old.binaryData, 'binaryData')) out.push(forbidden('binaryData', 'field is immutable when `immutable` is set'))
    }
    return [...out, ...(configMapStrategy.validate?.(map, ctx) ?? [])]
  },

  columns: [nameColumn(), column('Data', 'Data contains the configuration data. Each key must consist of alphanumeric characters, \'-\', \'_\' or \'.\'.', (o) => Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length), ageColumn()],
}
