/**
 * One line per event. Fields are plain values; callers never pass secrets, and `Log` redacts nothing for them.
 * Sinks are chosen once in main.ts: human text for a terminal, JSON otherwise.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** The same sink with `fields` on each line; `part` names the component. */
  with(part: string, fields?: LogFields): Log
}

export interface LogOptions {
  format: 'text' | 'json'
  level: LogLevel
  nowMs: () => number
  write: (line: string) => void
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }

export function createLog(options: LogOptions, part = '', inherited: LogFields = {}): Log {
  const emit = (level: LogLevel, message: string, fields?: LogFields) => {
    if (RANK[level] < RANK[options.level]) return
    const at = new Date(options.nowMs()).toISOString()
    const all = { ...inherited, ...fields }
    options.write(options.format === 'json' ? jsonLine(at, level, part, message, all) : textLine(at, level, part, message, all))
  }
  return {
    debug: (m, f) => emit('debug', m, f),
    info: (m, f) => emit('info', m, f),
    warn: (m, f) => emit('warn', m, f),
    error: (m, f) => emit('error', m, f),
    with: (name, fields) => createLog(options, part ? `${part}/${name}` : name, { ...inherited, ...fields }),
  }
}

/** Drops everything: for tests that do not read the log. */
export const silentLog: Log = createLog({ format: 'text', level: 'error', nowMs: () => 0, write: () => {} })

function jsonLine(at: string, level: LogLevel, part: string, message: string, fields: LogFields): string {
  return JSON.stringify({ time: at, level, ...(part && { part }), msg: message, ...plain(fields) })
}

function textLine(at: string, level: LogLevel, part: string, message: string, fields: LogFields): string {
  const tail = Object.entries(plain(fields)).map(([k, v]) => ` ${k}=${quote(v)}`).join('')
  return `${at} ${level.toUpperCase().padEnd(5)} ${part ? `${part}: ` : ''}${message.replaceAll('\n', '\\n')}${tail}`
}

function plain(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, v]) => v !== undefined).map(([k, v]) => [k, v instanceof Error ? describe(v) : v]))
}

/** With what was underneath, as far as it is not said already. */
function describe(error: Error): string {
  const told = [labelled(error)]
  for (let { cause } = error; cause instanceof Error; { cause } = cause) {
    const { message } = cause
    if (!told.some((text) => text.includes(message.trim()))) told.push(labelled(cause))
  }
  return told.reduceRight((inner, outer) => `${outer} (${inner})`)
}

function labelled(error: Error): string {
  const { code } = error as { code?: unknown }
  return `${typeof code === 'string' ? `${code}: ` : ''}${error.message}`
}

function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text)
}
