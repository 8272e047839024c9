/**
 * Audit events as lines of a file (or standard output). Requests never wait for the disk: lines gather in memory, within a
 * bound, and go out together. The file is rotated by size; old ones go by age and by number (lumberjack's names).
 */
import { createWriteStream } from 'node:fs'
import { appendFile, chmod, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { AuditBackend } from './auditor.ts'
import { jsonLine, legacyLine, type AuditEvent } from './event.ts'

export interface LogBackendOptions {
  /** '-': standard output. */
  path: string
  format: 'json' | 'legacy'
  /** Days; 0: for ever. */
  maxAgeDays: number
  /** 0: all. */
  maxBackups: number
  /** The file is rotated before it grows over this. */
  maxSizeBytes: number
  compress: boolean
  clock: Clock
  log: Log
  /** For '-'. */
  writeOut?: (text: string) => void
}

/** One write carries what came in this time: kind to flash cards. */
const FLUSH_MS = 1_000
const FLUSH_BYTES = 64 * 1024
/** A disk that cannot follow loses events, not the server its memory. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024
const DAY_MS = 86_400_000

export function createLogBackend(options: LogBackendOptions): AuditBackend {
  const { path, clock } = options
  const log = options.log.with('audit')
  const printed = options.format === 'legacy' ? legacyLine : jsonLine
  const state: { lines: string[]; bytes: number; cancel: (() => void) | undefined; writing: Promise<void> | undefined; size: number | undefined; failed: boolean } = { lines: [], bytes: 0, cancel: undefined, writing: undefined, size: undefined, failed: false }

  const flush = (): Promise<void> => {
    state.cancel?.()
    state.cancel = undefined
    return (state.writing ??= drain().finally(() => { state.writing = undefined }))
  }

  async function drain(): Promise<void> {
    while (state.lines.length > 0) {
      const text = state.lines.join('')
      const bytes = state.bytes
      state.lines = []
      state.bytes = 0
      try {
        if (path === '-') options.writeOut?.(text)
        else await append(text, bytes)
        state.failed = false
      } catch (error) {
        // Said once: the next lines may fare better, and a full disk must not fill the other log.
        if (!state.failed) log.error('audit events could not be written and are lost', { path, error: asError(error) })
        state.failed = true
      }
    }
  }

  async function append(text: string, bytes: number): Promise<void> {
    state.size ??= await sizeOf(path)
    if (state.size > 0 && state.size + bytes > options.maxSizeBytes) await rotate()
    await appendFile(path, text, { mode: 0o600 })
    state.size = (state.size ?? 0) + bytes
  }

  async function rotate(): Promise<void> {
    const to = backupPath(path, clock.nowMs())
    await rename(path, to).catch((error: unknown) => { if (!hasCode(error, 'ENOENT')) throw error })
    state.size = 0
    if (options.compress) await compressFile(to)
    await removeOld(options)
  }

  return {
    write(event: AuditEvent): boolean {
      if (state.bytes > PENDING_BYTES_MAX) return false
      const line = printed(event)
      state.lines.push(line)
      state.bytes += Buffer.byteLength(line)
      if (state.bytes >= FLUSH_BYTES) void flush()
      else state.cancel ??= clock.after(FLUSH_MS, () => void flush())
      return true
    },
    async close() {
      await flush()
      // What came while the last write was on its way.
      await flush()
    },
  }
}

async function sizeOf(path: string): Promise<number> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  try {
    await chmod(path, 0o600)
    return (await stat(path)).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0
    throw error
  }
}

/** `audit-2026-01-02T15-04-05.000.log` beside `audit.log`. */
function backupPath(path: string, nowMs: number): string {
  const extension = extname(path)
  return join(dirname(path), `${basename(path, extension)}-${new Date(nowMs).toISOString().slice(0, 23).replaceAll(':', '-')}${extension}`)
}

async function compressFile(path: string): Promise<void> {
  const [{ createGzip }, { createReadStream }] = await Promise.all([import('node:zlib'), import('node:fs')])
  await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.gz`, { mode: 0o600 }))
  await rm(path)
}

async function removeOld({ path, maxBackups, maxAgeDays, clock }: LogBackendOptions): Promise<void> {
  if (maxBackups === 0 && maxAgeDays === 0) return
  const extension = extname(path)
  const prefix = `${basename(path, extension)}-`
  const backups = (await readdir(dirname(path))).map((file) => ({ file, ms: backupTime(file, prefix, extension) })).filter((b) => Number.isFinite(b.ms)).sort((a, b) => b.ms - a.ms)
  const oldestMs = maxAgeDays === 0 ? Number.NEGATIVE_INFINITY : clock.nowMs() - maxAgeDays * DAY_MS
  const doomed = backups.filter(({ ms }, i) => (maxBackups > 0 && i >= maxBackups) || ms < oldestMs)
  for (const { file } of doomed) await rm(join(dirname(path), file), { force: true })
}

/** NaN for files that are no backups. */
function backupTime(file: string, prefix: string, extension: string): number {
  const bare = file.endsWith('.gz') ? file.slice(0, -'.gz'.length) : file
  if (!bare.startsWith(prefix) || !bare.endsWith(extension)) return Number.NaN
  const stamp = bare.slice(prefix.length, bare.length - extension.length)
  return Date.parse(`${stamp.slice(0, 10)}T${stamp.slice(11).replaceAll('-', ':')}Z`)
}
