/** `kubectl logs`: a container's CRI log files, rotated ones too, filtered and followed. Follows by inotify, never by polling. */
import { watch, type FSWatcher } from 'node:fs'
import { open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import type { LogOptions, LogSink } from '../streams.ts'
import { criTimeNano, parseCriLine } from './cri-log.ts'
import { tailOffset } from './tail-file.ts'

const READ_BYTES = 64 * 1024
const NEWLINE = Buffer.from('\n')

export interface ReadLogsInput {
  path: string
  options: LogOptions
  nowMs: number
  sink: LogSink
  signal: AbortSignal
  /** Whether the container still runs; asked when a followed log has nothing more. */
  isRunning(): Promise<boolean>
  /** Calls back when the container may have ended. Returns the unsubscribe. */
  onEnd(listener: () => void): () => void
}

export async function readLogs(input: ReadLogsInput): Promise<void> {
  const { options, signal } = input
  const filter = createFilter(input)
  let current = await openLog(input.path)
  if (!current) {
    if (!options.follow) return
    // Created but nothing printed yet: its file appears at start.
    current = await waitForFile(input)
    if (!current) return
  }
  try {
    let offset = options.tailLines === undefined ? 0 : await tailStart(current, options.tailLines)
    if (options.tailLines === 0 && !options.follow) return
    for (;;) {
      signal.throwIfAborted()
      const { nextOffset, done } = await pump(current, offset, filter, input)
      offset = nextOffset
      if (done || !options.follow) break
      const next = await waitForMore(input, current, offset)
      if (next === 'ended') {
        await pump(current, offset, filter, input)
        break
      }
      if (next === 'rotated') {
        const rest = await pump(current, offset, filter, input)
        if (rest.done) break
        await current.close()
        const reopened = await openLog(input.path)
        if (!reopened) return
        current = reopened
        offset = 0
      }
    }
    await filter.flush()
  } finally {
    await current.close()
  }
}

interface Filter {
  /** False: the limit of bytes or lines is reached. */
  record(line: Buffer): Promise<boolean>
  flush(): Promise<void>
}

function createFilter({ options, nowMs, sink }: ReadLogsInput): Filter {
  const since = sinceNano(options, nowMs)
  const stream = options.stream === 'Stdout' ? 'stdout' : options.stream === 'Stderr' ? 'stderr' : undefined
  let left = options.limitBytes ?? Infinity
  // As upstream: a log that grows while its tail is read gives no more lines than were asked for.
  let linesLeft = options.follow ? Infinity : (options.tailLines ?? Infinity)
  let fresh = true
  let pending: Buffer[] = []
  let pendingBytes = 0
  const flush = async () => {
    if (pendingBytes === 0) return
    const out = Buffer.concat(pending, pendingBytes)
    pending = []
    pendingBytes = 0
    await sink.write(out)
  }
  const put = (chunk: Buffer): boolean => {
    const cut = chunk.length > left ? chunk.subarray(0, left) : chunk
    left -= cut.length
    pending.push(cut)
    pendingBytes += cut.length
    return left > 0
  }
  return {
    flush,
    async record(line) {
      linesLeft -= 1
      const parsed = parseCriLine(line)
      if (!parsed || (stream !== undefined && parsed.stream !== stream)) return linesLeft > 0
      if (since !== undefined && (criTimeNano(parsed.time) ?? 0n) < since) return linesLeft > 0
      const stamp = options.timestamps && fresh ? Buffer.from(`${parsed.time} `) : undefined
      fresh = !parsed.partial
      const more = put(Buffer.concat([...(stamp ? [stamp] : []), parsed.text, ...(parsed.partial ? [] : [NEWLINE])]))
      if (!more || pendingBytes >= READ_BYTES) await flush()
      return more && linesLeft > 0
    },
  }
}

function sinceNano({ sinceTime, sinceSeconds }: LogOptions, nowMs: number): bigint | undefined {
  if (sinceTime !== undefined) {
    const nano = criTimeNano(sinceTime)
    if (nano === undefined) throw new CodedError('LOGS_INVALID', `sinceTime ${JSON.stringify(sinceTime)} is not an RFC 3339 time`)
    return nano
  }
  return sinceSeconds === undefined ? undefined : BigInt(Math.floor(nowMs - sinceSeconds * 1000)) * 1_000_000n
}

/** Reads to the file's present end; half a line at the end is left for the next time. */
async function pump(file: FileHandle, from: number, filter: Filter, { signal }: ReadLogsInput): Promise<{ nextOffset: number; done: boolean }> {
  let offset = from
  let rest = Buffer.alloc(0)
  const block = Buffer.allocUnsafe(READ_BYTES)
  for (;;) {
    signal.throwIfAborted()
    const { bytesRead } = await file.read(block, 0, READ_BYTES, offset + rest.length)
    if (bytesRead === 0) break
    const data = Buffer.concat([rest, block.subarray(0, bytesRead)])
    let at = 0
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, at)) {
      const more = await filter.record(data.subarray(at, end))
      at = end + 1
      if (!more) return { nextOffset: offset + at, done: true }
    }
    offset += at
    rest = Buffer.from(data.subarray(at))
  }
  await filter.flush()
  return { nextOffset: offset, done: false }
}

/** Where the last `lines` records begin. Fewer in this file than asked: all of it (a rotated file's lines are not fetched, as upstream). */
const tailStart = (file: FileHandle, lines: number): Promise<number> => tailOffset(file, lines)

async function waitForMore(input: ReadLogsInput, file: FileHandle, offset: number): Promise<'more' | 'rotated' | 'ended'> {
  const look = async (): Promise<'more' | 'rotated' | 'ended' | undefined> => {
    const mine = await file.stat()
    if (mine.size > offset) return 'more'
    const there = await maybeStat(input.path)
    if (there && there.ino !== mine.ino) return 'rotated'
    if (await input.isRunning()) return undefined
    // It may have printed between our read and its end.
    return (await file.stat()).size > offset ? 'more' : 'ended'
  }
  return waitFor(input, look)
}

async function waitForFile(input: ReadLogsInput): Promise<FileHandle | undefined> {
  const found = await waitFor(input, async () => (await maybeStat(input.path)) ? 'there' as const : (await input.isRunning()) ? undefined : 'ended' as const)
  return found === 'there' ? openLog(input.path) : undefined
}

/** Looks again at each sign of change in the log's directory or of the container's end. Rejects when aborted. */
async function waitFor<T>(input: ReadLogsInput, look: () => Promise<T | undefined>): Promise<T> {
  const { path, signal } = input
  let changed = false
  let wake: (() => void) | undefined
  const poke = () => {
    changed = true
    wake?.()
  }
  const watcher = maybeWatch(dirname(path), basename(path), poke)
  const off = input.onEnd(poke)
  signal.addEventListener('abort', poke)
  try {
    for (;;) {
      signal.throwIfAborted()
      changed = false
      const found = await look()
      if (found !== undefined) return found
      if (!changed) await new Promise<void>((resolve) => { wake = resolve; if (changed) resolve() })
      wake = undefined
    }
  } finally {
    watcher?.close()
    off()
    signal.removeEventListener('abort', poke)
  }
}

/** Undefined when the directory is not there (yet): the container's end still wakes us. */
function maybeWatch(dir: string, name: string, poke: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(dir, { persistent: false }, (_, file) => { if (file === null || file === name) poke() })
    watcher.on('error', poke)
    return watcher
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

async function maybeStat(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** The rotated files of a log, oldest first. */
export async function rotatedLogs(path: string): Promise<string[]> {
  const base = `${basename(path)}.`
  try {
    return (await readdir(dirname(path))).filter((n) => n.startsWith(base) && /^\d{8}-\d{6}/.test(n.slice(base.length))).toSorted().map((n) => join(dirname(path), n))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
