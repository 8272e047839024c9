/** What a verb makes, to a file or to standard output. A file appears when it is whole; one that was there stays until then, and when something fails. */
import { createWriteStream, existsSync, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { asError, CodedError, UsageError } from '#base/errors.ts'

/** `signals`: where SIGINT and SIGTERM come from: they end the work, and nothing half done stays. */
export interface OutputDeps { stdout: Writable & { isTTY?: boolean }; signals: Pick<NodeJS.EventEmitter, 'on' | 'off'> }

/** `path` undefined: standard output, unless that is a terminal. */
export async function writeOutput(path: string | undefined, chunks: AsyncIterable<Buffer>, { stdout, signals }: OutputDeps): Promise<void> {
  if (path === undefined) {
    if (stdout.isTTY === true) throw new UsageError('an archive is nothing for a terminal: name a file with --output, or redirect standard output')
    // Others may still have something to say there.
    return pipeline(Readable.from(chunks, { objectMode: true }), stdout, { end: false }).catch((error: unknown) => { throw new CodedError('OUTPUT_FAILED', `standard output cannot be written: ${asError(error).message}`, { cause: error }) })
  }
  // A pipe or a device cannot be replaced.
  const isSpecial = existsSync(path) && !statSync(path).isFile()
  const target = isSpecial ? path : `${path}.${process.pid}.partial`
  const abort = new AbortController()
  const stop = (signal: string) => abort.abort(new CodedError('INTERRUPTED', `interrupted by ${signal}`))
  for (const signal of ['SIGINT', 'SIGTERM']) signals.on(signal, stop)
  try {
    await pipeline(Readable.from(chunks, { objectMode: true }), createWriteStream(target, { mode: 0o644 }), { signal: abort.signal })
    if (isSpecial) return
    const file = await open(target, 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(target, path)
  } catch (error) {
    if (!isSpecial) await rm(target, { force: true })
    const cause = abort.signal.aborted ? asError(abort.signal.reason) : asError(error)
    throw new CodedError('OUTPUT_FAILED', `${path} was not written: ${cause.message}`, { cause })
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) signals.off(signal, stop)
  }
}
