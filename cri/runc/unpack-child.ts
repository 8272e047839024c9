/**
 * The short-lived child that unpacks one layer, so that the agent's heap never sees layers. One JSON job on stdin, one
 * JSON answer on stdout. `main` dispatches a hidden verb here; `EmbeddedRuntimeOptions.selfCommand` is how it is spawned.
 */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Readable, Transform } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { CodedError, asError } from '#base/errors.ts'
import { LayerWriter } from './layer-writer.ts'
import type { LayerLimits } from './layer-writer.ts'
import { syncFileSystem } from './native.ts'
import { TarReader } from './tar-reader.ts'

export interface UnpackJob {
  /** The blob, or the archive that holds it at `offset`. */
  file: string
  offset: number
  sizeBytes: number
  /** Of the bytes as stored; undefined when already verified. */
  digest?: string
  /** Of the uncompressed tar, from the image's config. */
  diffId: string
  /** Existing empty directory. */
  target: string
  parents: string[]
  limits: LayerLimits
  allowDevices: boolean
}

export type UnpackAnswer = { ok: true; sizeBytes: number; entries: number } | { ok: false; code: string; message: string }

/** Everything is on the medium when this resolves. */
export async function unpackLayer(job: UnpackJob): Promise<{ sizeBytes: number; entries: number }> {
  const stored = createHash('sha256')
  const plain = createHash('sha256')
  const writer = new LayerWriter({ root: job.target, parents: job.parents, limits: job.limits, allowDevices: job.allowDevices })
  const reader = new TarReader(writer)
  const source = job.sizeBytes === 0 ? emptySource() : createReadStream(job.file, { start: job.offset, end: job.offset + job.sizeBytes - 1, highWaterMark: 256 * 1024 })
  for await (const chunk of decompressed(source, job.digest === undefined ? undefined : stored)) {
    plain.update(chunk)
    reader.push(chunk)
  }
  reader.finish()
  expectDigest('layer', stored, job.digest)
  expectDigest('uncompressed layer', plain, job.diffId)
  writer.finish()
  syncFileSystem(job.target)
  return { sizeBytes: writer.bytes, entries: writer.entries }
}

/** The hidden verb: a line of JSON on stdin, which stays open as long as the parent lives. Never rejects: failures are the answer, and the exit code is 0 when there is one. */
export async function runUnpackChild(): Promise<void> {
  let answer: UnpackAnswer
  try {
    const job: unknown = JSON.parse(await readLine(process.stdin, () => process.exit(1)))
    answer = { ok: true, ...await unpackLayer(job as UnpackJob) }
  } catch (error) {
    const code = (error as { code?: unknown }).code
    answer = { ok: false, code: typeof code === 'string' ? code : 'CRI_FAILED', message: asError(error).message }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
  // Nothing more to wait for; otherwise the open stdin would keep this process.
  process.stdin.destroy()
}

/** What the first bytes say the stream is; media types lie too often. */
async function* decompressed(source: Readable, hash: Hash | undefined): AsyncGenerator<Buffer> {
  const chunks = withHash(source, hash)
  const first = await chunks.next()
  if (first.done) return
  const unzip = decompressorFor(first.value)
  if (!unzip) {
    yield first.value
    yield* chunks
    return
  }
  const feeding = feed(unzip, first.value, chunks)
  try {
    for await (const chunk of unzip) yield chunk as Buffer
  } catch (error) {
    throw new CodedError('CRI_INVALID', `layer cannot be decompressed: ${asError(error).message}`, { cause: error })
  } finally {
    unzip.destroy()
    await feeding
  }
}

function decompressorFor(head: Buffer): Transform | undefined {
  if (head.length > 1 && head[0] === 0x1f && head[1] === 0x8b) return createGunzip()
  if (head.length > 3 && head.readUInt32LE(0) === 0xfd2fb528) return createZstdDecompress()
  return undefined
}

async function feed(into: Transform, first: Buffer, rest: AsyncGenerator<Buffer>): Promise<void> {
  let chunk: Buffer | undefined = first
  while (chunk && !into.destroyed) {
    if (!into.write(chunk)) await new Promise<void>((resolve) => { into.once('drain', resolve).once('close', resolve) })
    const next: IteratorResult<Buffer> = await rest.next()
    chunk = next.done ? undefined : next.value
  }
  if (!into.destroyed) into.end()
}

async function* withHash(source: Readable, hash: Hash | undefined): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    hash?.update(chunk as Buffer)
    yield chunk as Buffer
  }
}

async function* emptyChunks(): AsyncGenerator<Buffer> {}

function emptySource(): Readable {
  const { Readable: Stream } = process.getBuiltinModule('node:stream')
  return Stream.from(emptyChunks())
}

function expectDigest(what: string, hash: Hash, expected: string | undefined): void {
  if (expected === undefined) return
  const actual = `sha256:${hash.digest('hex')}`
  if (actual !== expected) throw new CodedError('CRI_INVALID', `${what} has digest ${actual}, expected ${expected}`)
}

/** The first line; `onEnd` when the stream ends, now or later. */
function readLine(stream: NodeJS.ReadStream, onEnd: () => void): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      text += chunk
      const end = text.indexOf('\n')
      if (end >= 0) resolve(text.slice(0, end))
    })
    stream.on('error', reject)
    stream.on('end', onEnd)
  })
}
