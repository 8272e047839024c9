/** What the kernel says from now on (/dev/kmsg), told as it says it. */
import { closeSync, constants, openSync } from 'node:fs'
import { cLibrary } from '#base/c-library.ts'
import { streamOverDescriptor } from '#base/descriptor-stream.ts'
import { hasCode } from '#base/errors.ts'

/** Calls `onLine` for each line the kernel itself has written, until the signal aborts. Rejects where it cannot be read. */
export type KernelLog = (onLine: (line: string) => void, signal: AbortSignal) => Promise<void>

const PATH = '/dev/kmsg'
const SEEK_END = 2
const libc = cLibrary({ lseek: { arguments: ['int32', 'int64', 'int32'], return: 'int64' } })

export const readKernelLog: KernelLog = (onLine, signal) => followRecords((record) => {
  const line = kernelLine(record)
  if (line !== undefined) onLine(line)
}, signal)

/** All records, whoever wrote them. */
export async function followRecords(onRecord: (record: string) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await readToBreak(onRecord, signal)
}

/** Resolves where lines were overwritten before they were read: what was said meanwhile is missed. */
function readToBreak(onRecord: (record: string) => void, signal: AbortSignal): Promise<void> {
  const fd = openSync(PATH, constants.O_RDONLY | constants.O_NONBLOCK)
  return new Promise((resolve, reject) => {
    let stream: ReturnType<typeof streamOverDescriptor>
    try {
      const { functions, check } = libc()
      check(Number(functions.lseek(fd, 0n, SEEK_END)), `lseek ${PATH}`)
      stream = streamOverDescriptor(fd, { writable: false })
    } catch (error) {
      closeSync(fd)
      return reject(error as Error)
    }
    const stop = (): void => { stream.destroy() }
    signal.addEventListener('abort', stop, { once: true })
    // One read is one record.
    stream.on('data', (record: Buffer) => onRecord(record.toString('utf8')))
    stream.on('error', (error) => (hasCode(error, 'EPIPE') ? resolve() : reject(error)))
    stream.on('close', () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
  })
}

/** `6,339,5140900,-;text`, then lines of properties. Undefined: a program wrote it, which says so by a facility. */
export function kernelLine(record: string): string | undefined {
  const [, priority = '', text] = /^(\d+),[^;]*;([^\n]*)/.exec(record) ?? []
  return text === undefined || Number(priority) >> 3 !== 0 ? undefined : text
}
