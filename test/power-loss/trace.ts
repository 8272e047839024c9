/**
 * What a program did to the files below a directory, from strace's notes of it: every write with its bytes, every sync,
 * in the order in which they ended.
 */
import { createReadStream } from 'node:fs'

/** Options of strace: strings whole and in hexadecimal, times to the microsecond, all threads. */
export const STRACE_OPTIONS = ['-f', '-ttt', '-xx', '-s', '16777216', '-e', 'trace=openat,write,pwrite64,writev,close,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate', '-e', 'signal=none']

/** `startMs`: when it was asked for; it had not happened before. Paths are relative to the directory. */
export type FileEvent = { startMs: number } & (
  | { kind: 'open'; fd: number; path: string; creates: boolean; truncates: boolean }
  | { kind: 'write'; fd: number; data: Buffer; offset?: number }
  | { kind: 'truncate'; fd: number; size: number }
  /** What was written to it before the sync began. */
  | { kind: 'sync'; fd: number; begun: number }
  | { kind: 'close'; fd: number }
  | { kind: 'rename'; from: string; to: string }
  | { kind: 'unlink'; path: string }
)

/** `begun` of a sync is the number of events that had ended when it began. */
export async function readTrace(file: string, directory: string): Promise<FileEvent[]> {
  const events: FileEvent[] = []
  const unfinished = new Map<string, { text: string; startMs: number; begun: number }>()
  const open = new Set<number>()
  const relative = (path: string): string | undefined => (path === directory ? '' : path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : undefined)

  const take = (text: string, result: number, startMs: number, begun: number): void => {
    const call = text.slice(0, text.indexOf('('))
    const fd = Number(/^\w+\((\d+)/.exec(text)?.[1] ?? -1)
    if (call === 'openat') {
      const path = relative(strings(text)[0]?.toString() ?? '')
      if (result < 0) return
      if (path === undefined) open.delete(result)
      else {
        open.add(result)
        events.push({ kind: 'open', fd: result, path, creates: text.includes('O_CREAT'), truncates: text.includes('O_TRUNC'), startMs })
      }
      return
    }
    if (call.startsWith('rename')) {
      const [from, to] = strings(text).map((s) => relative(s.toString()))
      if (result === 0 && from !== undefined && to !== undefined) events.push({ kind: 'rename', from, to, startMs })
      return
    }
    if (call.startsWith('unlink')) {
      const path = relative(strings(text)[0]?.toString() ?? '')
      if (result === 0 && path !== undefined) events.push({ kind: 'unlink', path, startMs })
      return
    }
    if (!open.has(fd)) return
    if (call === 'close') {
      open.delete(fd)
      events.push({ kind: 'close', fd, startMs })
    } else if (call === 'fsync' || call === 'fdatasync') {
      if (result === 0) events.push({ kind: 'sync', fd, begun, startMs })
    } else if (call === 'ftruncate') {
      if (result === 0) events.push({ kind: 'truncate', fd, size: Number(/, (\d+)\)/.exec(text)?.[1]), startMs })
    } else if (result > 0) {
      const data = Buffer.concat(strings(text)).subarray(0, result)
      if (data.length !== result) throw new Error(`strace cut a write short: ${data.length} of ${result} bytes`)
      events.push({ kind: 'write', fd, data, startMs, ...(call === 'pwrite64' && { offset: Number(/, (\d+)\)?$/.exec(text)?.[1]) }) })
    }
  }

  for await (const line of lines(file)) {
    const [, thread = '', seconds = '', rest = ''] = /^(\d+) +([\d.]+) ([^]*)$/.exec(line) ?? []
    const startMs = Number(seconds) * 1000
    if (rest.endsWith(' <unfinished ...>')) unfinished.set(thread, { text: rest.slice(0, -' <unfinished ...>'.length), startMs, begun: events.length })
    else if (rest.startsWith('<... ')) {
      const before = unfinished.get(thread)
      unfinished.delete(thread)
      if (before) take(`${before.text}${rest.slice(rest.indexOf('>') + 1).split(' = ')[0] ?? ''}`, resultOf(rest), before.startMs, before.begun)
    } else if (/^\w+\(/.test(rest)) take(rest.slice(0, rest.lastIndexOf(' = ')).trimEnd(), resultOf(rest), startMs, events.length)
  }
  return events
}

function resultOf(rest: string): number {
  return Number(/ = (-?\d+)[^=]*$/.exec(rest.slice(-200))?.[1] ?? -1)
}

function strings(text: string): Buffer[] {
  return [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((m) => Buffer.from((m[1] ?? '').replaceAll('\\x', ''), 'hex'))
}

async function* lines(file: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(file, { encoding: 'latin1', highWaterMark: 1 << 20 }) as AsyncIterable<string>) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
}
