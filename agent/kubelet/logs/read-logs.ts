/** `kubectl logs`: a container's CRI log files, rotated ones too, filtered and followed. Follows by inotify, never by polling. */
import { watch, type FSWatcher } from 'node:fs'
import { open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '#base/errors.ts'
import type { LogOptions, LogSink } from '../streams.ts'
import { createLogFilter } from './log-filter.ts'
import { tailOffset } from './tail-file.ts'

const READ_BYTES = 64 * 1024

type Filter = ReturnType<typeof createLogFilter>

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
  const filter = createLogFilter(options, input.nowMs)
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
  } finally {
    await current.close()
  }
}

/** Reads to the file's present end; half a record at the end is left for the next time. */
async function pump(file: FileHandle, from: number, filter: Filter, { signal, sink }: ReadLogsInput): Promise<{ nextOffset: number; done: boolean }> {
  let offset = from
  let block = Buffer.allocUnsafeSlow(READ_BYTES)
  /** Of a record whose end was not read yet, at the block's beginning. */
  let rest = 0
  for (;;) {
    signal.throwIfAborted()
    const { bytesRead } = await file.read(block, rest, block.length - rest, offset + rest)
    if (bytesRead === 0) return { nextOffset: offset, done: false }
    const end = rest + bytesRead
    const { bytes, consumed, isEnough } = filter(block, end)
    offset += consumed
    rest = end - consumed
    const full = block
    // A few bytes need not keep a whole block until they are sent; one that is sent as it is is not ours any more. A record may be longer than any block.
    const isSent = bytes > READ_BYTES / 4
    if (isSent || consumed === 0) block = Buffer.allocUnsafeSlow(rest + READ_BYTES)
    const shown = isSent ? full.subarray(0, bytes) : Buffer.from(full.subarray(0, bytes))
    full.copy(block, 0, consumed, end)
    if (bytes > 0) await sink.write(shown)
    if (isEnough) return { nextOffset: offset, done: true }
  }
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
