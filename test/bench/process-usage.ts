/** What /proc says of processes: memory, CPU time, bytes written. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Memory { rssMB: number; anonMB: number; pssMB: number }
export interface Usage { cpuSeconds: number; writtenBytes: number }

const CLOCK_TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Summed over `pids`. Shared pages count in each RSS, once over all in PSS. */
export function memoryOf(pids: readonly number[]): Memory {
  const sum = { rssMB: 0, anonMB: 0, pssMB: 0 }
  for (const pid of pids) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    sum.rssMB += kilobytes(status, 'VmRSS') / 1024
    sum.anonMB += kilobytes(status, 'RssAnon') / 1024
    sum.pssMB += kilobytes(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'), 'Pss') / 1024
  }
  return sum
}

/** Of `pids` with all children they have waited for: a short-lived helper is its parent's cost. */
export function usageOf(pids: readonly number[]): Usage {
  const sum = { cpuSeconds: 0, writtenBytes: 0 }
  for (const pid of pids) {
    const fields = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] ?? '').split(' ').map(Number)
    sum.cpuSeconds += ((fields[11] ?? 0) + (fields[12] ?? 0) + (fields[13] ?? 0) + (fields[14] ?? 0)) / CLOCK_TICKS
    sum.writtenBytes += Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0)
  }
  return sum
}

/** The RSS of a freshly written binary counts its whole page cache: drops those pages, so that only what is used comes back. */
export function dropPageCache(file: string): void {
  execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' })
}

function kilobytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)
}
