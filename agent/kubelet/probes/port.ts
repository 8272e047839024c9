/** A probe's or hook's port: a number, its text, or the name of one of the container's ports. */
import { CodedError } from '#base/errors.ts'
import type { Container } from '#api/types/index.ts'

export function portNumber(port: number | string, container: Container): number {
  const named = typeof port === 'string' ? container.ports?.find((p) => p.name === port)?.containerPort : undefined
  const number = named ?? Number(port)
  if (typeof port === 'string' && !/^[+-]?\d+$/.test(port) && named === undefined) throw new CodedError('PROBE_INVALID', `strconv.Atoi: parsing ${JSON.stringify(port)}: invalid syntax`)
  if (!Number.isInteger(number) || number < 1 || number > 65_535) throw new CodedError('PROBE_INVALID', `invalid port number: ${port}`)
  return number
}
