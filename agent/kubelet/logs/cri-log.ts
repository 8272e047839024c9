/** Lines of the CRI log format: `<RFC 3339 nano> <stdout|stderr> <P|F> <text>`. Pure. */
export interface CriLine {
  /** As written, nanoseconds and all. */
  time: string
  stream: 'stdout' | 'stderr'
  /** The process's line goes on in the next record. */
  partial: boolean
  /** Without the newline that ends the record. */
  text: Buffer
}

const SPACE = 0x20

/** Undefined: not a record (a crash may leave half a line). `line` is without its newline. */
export function parseCriLine(line: Buffer): CriLine | undefined {
  const a = line.indexOf(SPACE)
  const b = a < 0 ? -1 : line.indexOf(SPACE, a + 1)
  if (b < 0) return undefined
  const c = line.indexOf(SPACE, b + 1)
  const stream = line.toString('latin1', a + 1, b)
  const tags = line.toString('latin1', b + 1, c < 0 ? line.length : c)
  if ((stream !== 'stdout' && stream !== 'stderr') || !/^[PF](:|$)/.test(tags)) return undefined
  return { time: line.toString('latin1', 0, a), stream, partial: tags.startsWith('P'), text: c < 0 ? Buffer.alloc(0) : line.subarray(c + 1) }
}

/** Nanoseconds since 1970 of a record's time; undefined when it is none. */
export function criTimeNano(time: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(time)
  if (!match) return undefined
  const ms = Date.parse(`${match[1] ?? ''}${match[3] ?? ''}`)
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0') || '0')
}
