/** The wall clock of a time zone: IANA names and fixed offsets. */
import { mod } from './time-text.ts'
import { EvalError } from './value.ts'

/** A Date whose UTC getters tell the local time of the zone. */
export function inZone(nanos: bigint, zone: string): Date {
  const ms = Number((nanos - mod(nanos, 1_000_000n)) / 1_000_000n)
  return new Date(ms + offsetMs(ms, zone))
}

function offsetMs(ms: number, zone: string): number {
  if (zone === 'UTC' || zone === '') return 0
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone)
  if (fixed) return (fixed[1] === '-' ? -1 : 1) * (Number(fixed[2]) * 60 + Number(fixed[3])) * 60_000
  let parts: Intl.DateTimeFormatPart[]
  try {
    parts = new Intl.DateTimeFormat('en-US', {
      timeZone: zone, hourCycle: 'h23', era: 'short', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
    }).formatToParts(ms)
  } catch {
    // Intl throws a RangeError for zones it does not know; there is nothing more in it.
    throw new EvalError(`unknown time zone ${zone}`)
  }
  const of = (type: string): number => Number(parts.find((p) => p.type === type)?.value)
  const local = new Date(0)
  local.setUTCFullYear(of('year'), of('month') - 1, of('day'))
  local.setUTCHours(of('hour'), of('minute'), of('second'))
  return local.getTime() - Math.floor(ms / 1000) * 1000
}
