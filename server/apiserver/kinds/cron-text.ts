/** Whether a text is a cron schedule as robfig/cron's standard parser takes it; the words of its refusals. */
const FIELDS = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { name: 'day of week', min: 0, max: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
] as const

const DESCRIPTORS: ReadonlySet<string> = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'])

/** Undefined: fine. */
export function cronProblem(text: string): string | undefined {
  if (text.startsWith('@')) {
    if (DESCRIPTORS.has(text) || /^@every (\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined
    return `unrecognized descriptor: ${text}`
  }
  const parts = text.trim().split(/\s+/).filter((p) => p !== '')
  if (parts.length !== 5) return `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`
  for (const [i, part] of parts.entries()) {
    for (const range of part.split(',')) {
      const problem = rangeProblem(range, FIELDS[i] ?? FIELDS[0])
      if (problem !== undefined) return problem
    }
  }
  return undefined
}

type Field = (typeof FIELDS)[number]

function rangeProblem(text: string, field: Field): string | undefined {
  const [range = '', step, ...more] = text.split('/')
  if (more.length > 0) return `too many slashes: ${text}`
  const ends = range.split('-')
  if (ends.length > 2) return `too many hyphens: ${text}`
  let [low, high]: [number, number] = [field.min, field.max]
  if (range !== '*' && range !== '?') {
    const numbers = ends.map((end) => valueOf(end, field))
    const bad = numbers.findIndex((n) => n === undefined)
    if (bad >= 0) return `failed to parse int from ${ends[bad] ?? ''}: strconv.Atoi: parsing ${JSON.stringify(ends[bad] ?? '')}: invalid syntax`
    low = numbers[0] ?? 0
    high = numbers[1] ?? (step === undefined ? low : field.max)
  }
  if (step !== undefined && !/^\d+$/.test(step)) return `failed to parse int from ${step}: strconv.Atoi: parsing ${JSON.stringify(step)}: invalid syntax`
  if (low < field.min) return `beginning of range (${low}) below minimum (${field.min}): ${text}`
  if (high > field.max) return `end of range (${high}) above maximum (${field.max}): ${text}`
  if (low > high) return `beginning of range (${low}) beyond end of range (${high}): ${text}`
  return step !== undefined && Number(step) === 0 ? `step of range should be a positive number: ${text}` : undefined
}

function valueOf(text: string, field: Field): number | undefined {
  if (/^\d+$/.test(text)) return Number(text)
  const at = 'names' in field ? (field.names as readonly string[]).indexOf(text.toLowerCase()) : -1
  return at < 0 ? undefined : at + field.min
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    // A RangeError is how Intl says no.
    return false
  }
}
