/**
 * Keeps the process small on a board. Under load the buffers that a collection of the heap frees leave malloc full of
 * holes, more than what is in use: they go back to the kernel after each large collection, and with them the pages of
 * our own executable, most of which were of use once (half of them, where it lies in the page cache in large pieces, never:
 * the kernel maps those whole). At rest everything does: the heap is collected, malloc trimmed, and clean pages of all
 * mapped files let go of. What of them is wanted again comes back from the page cache, a millisecond for all of it.
 */
import { readFileSync, statSync } from 'node:fs'
import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import { cLibrary } from '#base/c-library.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

/** How often it is looked whether there is something to give back. */
const LOOK_MS = 30_000
/** At rest: less than this part of one core since the last look. */
const REST_CPU_MAX = 0.05
/** Below this much growth since the last time it is not worth a collection. */
const GROWTH_BYTES_MIN = 8 * 1024 * 1024
/** Trimming costs milliseconds: not more often than this under load. */
const TRIM_MS_MIN = 1_000
/** After the start it is looked this often whether it is really over: informers fill, the agent begins. */
const SETTLE_MS = 1_000
/** So calm that it is: a part of one core. */
const SETTLE_CPU_MAX = 0.1
/** Whoever is busy from the start on is looked at with all others. */
const SETTLE_LOOKS_MAX = 30
/** mallopt(3). */
const M_ARENA_MAX = -8
const M_MMAP_THRESHOLD = -3
/** Buffers of this size and more, such as the parts of a list, are mapped on their own: freed, they leave no hole behind. Said once, malloc does not raise it by itself. */
const MAPPED_BYTES_MIN = 128 * 1024
/** madvise(2). */
const MADV_DONTNEED = 4

const libc = cLibrary({
  mallopt: { arguments: ['int32', 'int32'], return: 'int32' },
  malloc_trim: { arguments: ['uint64'], return: 'int32' },
  madvise: { arguments: ['uint64', 'uint64', 'int32'], return: 'int32' },
})

/**
 * As early as possible: arenas that exist stay. Runs until the signal aborts. A machine that cannot do it is just larger.
 * Returns what is to be called when the start is over.
 */
export function keepMemorySmall({ clock, log, signal }: { clock: Clock; log: Log; signal: AbortSignal }): () => void {
  let calls: ReturnType<typeof libc>['functions']
  try {
    calls = libc().functions
    calls.mallopt(M_ARENA_MAX, 1)
    calls.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
  } catch (error) {
    log.debug('memory is not given back at rest', { error: asError(error) })
    return () => {}
  }
  let trimmedAtMs = -Infinity
  let cancelTrim: (() => void) | undefined
  const letGo = (maps: readonly FileMap[]) => {
    for (const { start, bytes } of maps) calls.madvise(start, bytes, MADV_DONTNEED)
  }
  // Looked up once: these stay where they are, which of other files' maps nobody knows a moment later.
  let executable: readonly FileMap[] | undefined
  const trim = () => {
    cancelTrim = undefined
    trimmedAtMs = clock.monotonicMs()
    calls.malloc_trim(0n)
    letGo(executable ??= mapsOfExecutable())
  }
  const stopObserving = onLargeCollection(() => {
    const waitMs = trimmedAtMs + TRIM_MS_MIN - clock.monotonicMs()
    // The last collection of a burst counts as much as the first.
    if (waitMs > 0) cancelTrim ??= clock.after(waitMs, trim)
    else trim()
  })
  const giveBack = () => {
    // The one that also empties V8's caches, lets go of the room for new objects and of code that was not run lately. Once is cheaper than a usual one twice.
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    calls.malloc_trim(0n)
    letGo(cleanFileMaps(readSmaps()))
    smallest = process.memoryUsage.rss()
  }
  let smallest = 0
  let cpu = process.cpuUsage()
  let cancel = () => {}
  let cancelSettling = () => {}
  const look = () => {
    cancel = clock.after(LOOK_MS, look)
    const used = process.cpuUsage(cpu)
    cpu = process.cpuUsage()
    if ((used.user + used.system) / 1000 > REST_CPU_MAX * LOOK_MS) return
    if (process.memoryUsage.rss() < smallest + GROWTH_BYTES_MIN) return
    giveBack()
  }
  cancel = clock.after(LOOK_MS, look)
  signal.addEventListener('abort', () => {
    cancel()
    cancelTrim?.()
    cancelSettling()
    stopObserving()
  }, { once: true })
  // Given back in the middle of it, half would be there again a second later, and what is smallest taken for too large.
  const settle = (looksLeft: number) => {
    const before = process.cpuUsage()
    cancelSettling = clock.after(SETTLE_MS, () => {
      const used = process.cpuUsage(before)
      if ((used.user + used.system) / 1000 <= SETTLE_CPU_MAX * SETTLE_MS) giveBack()
      else if (looksLeft > 1) settle(looksLeft - 1)
    })
  }
  return () => {
    letGo(executable ??= mapsOfExecutable())
    settle(SETTLE_LOOKS_MAX)
  }
}

/** Calls back soon after each mark-sweep collection. Returns the end of it. */
function onLargeCollection(listener: () => void): () => void {
  const observer = new PerformanceObserver((list) => {
    const isLarge = (entry: PerformanceEntry) => (entry as PerformanceEntry & { detail?: { kind?: number } }).detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR
    if (list.getEntries().some(isLarge)) listener()
  })
  observer.observe({ entryTypes: ['gc'] })
  return () => observer.disconnect()
}

function readSmaps(): string {
  return readFileSync('/proc/self/smaps', 'latin1')
}

function mapsOfExecutable(): FileMap[] {
  const { ino } = statSync('/proc/self/exe')
  return cleanFileMaps(readSmaps()).filter((map) => map.inode === ino)
}

export interface FileMap { start: bigint; bytes: bigint; inode: number }

/**
 * The maps that can be dropped without losing anything: of a file, never written to. A map with anonymous pages holds
 * relocated data, which the file does not have.
 */
export function cleanFileMaps(smaps: string): FileMap[] {
  const found: FileMap[] = []
  let map: FileMap | undefined
  for (const line of smaps.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)/.exec(line)
    if (head) {
      const [, from = '', to = '', permissions = '', inode = '0'] = head
      const start = BigInt(`0x${from}`)
      map = inode === '0' || permissions.includes('w') ? undefined : { start, bytes: BigInt(`0x${to}`) - start, inode: Number(inode) }
    } else if (map && /^Anonymous:\s+0 kB/.test(line)) {
      found.push(map)
    }
  }
  // V8 keeps what a regular expression matched last, here a line and with it the whole text.
  /[a-z]/.exec('x')
  return found
}
