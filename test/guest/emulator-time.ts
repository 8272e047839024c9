/**
 * Time as an emulator has it: what it waited for a processor because others had them all does not count. So a deadline for
 * what a guest does means the same on a busy machine as on an idle one, and one that hangs still meets it.
 */
import { readFileSync, readdirSync } from 'node:fs'

/** Milliseconds since the call, without those in which the emulator's busiest thread waited for its turn. */
export function emulatorTime(pid: number): () => number {
  let waitedMs = waitedForProcessorMs(pid) ?? 0
  const startMs = performance.now()
  const waitedBeforeMs = waitedMs
  return () => {
    // Gone: what was known last.
    waitedMs = waitedForProcessorMs(pid) ?? waitedMs
    return performance.now() - startMs - (waitedMs - waitedBeforeMs)
  }
}

/** Of its thread that waited longest, since that began. */
function waitedForProcessorMs(pid: number): number | undefined {
  try {
    return Math.max(...readdirSync(`/proc/${pid}/task`).map((tid) => Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[1]) / 1e6))
  } catch {
    // It has ended, or the kernel does not count: then all time counts.
    return undefined
  }
}
