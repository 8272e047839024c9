/** Names of CSI drivers, which dynamic resource drivers share. */
import { checkDnsSubdomain } from '#api/types/index.ts'
import { type FieldError, invalid, required, tooLong } from '../field-error.ts'

const DRIVER_NAME_BYTES_MAX = 63

export function validateCsiDriverName(at: string, name: string | undefined): FieldError[] {
  const given = name ?? ''
  if (given === '') return [required(at)]
  const out = Buffer.byteLength(given) > DRIVER_NAME_BYTES_MAX ? [tooLong(at, DRIVER_NAME_BYTES_MAX)] : []
  return [...out, ...checkDnsSubdomain(given.toLowerCase()).map((m) => invalid(at, given, m))]
}
