/** What is received of a snapshot, as a file that grows, with a note beside it of what it is. One at a time. */
import { mkdir, open, readFile, rm, type FileHandle } from 'node:fs/promises'
import { createReadStream, statSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Recovered, Snapshot } from '../../raft/types.ts'
import { readStateStream } from './snapshot-stream.ts'

interface Note { snapshot: Snapshot; complete: boolean }

const NOTE = 'snapshot.json'
const BYTES = 'snapshot.bytes'

export async function openReceivedSnapshots(directory: string): Promise<ReceivedSnapshots> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return new ReceivedSnapshots(directory, await readNote(join(directory, NOTE)))
}

export class ReceivedSnapshots {
  readonly #directory: string
  #note: Note | undefined
  #sizeBytes: number
  #file: FileHandle | undefined

  constructor(directory: string, note: Note | undefined) {
    this.#directory = directory
    this.#note = note
    this.#sizeBytes = note ? sizeOf(this.#path) : 0
  }

  get #path(): string { return join(this.#directory, BYTES) }

  get partial(): Recovered['partialSnapshot'] {
    return this.#note && { snapshot: this.#note.snapshot, offsetBytes: this.#sizeBytes, complete: this.#note.complete }
  }

  /** The file of a snapshot that is there whole. */
  whole(snapshot: { id: string }): string | undefined {
    return this.#note?.complete && this.#note.snapshot.id === snapshot.id ? this.#path : undefined
  }

  async write(snapshot: Snapshot, offsetBytes: number, data: Buffer, last: boolean): Promise<void> {
    if (this.#note?.snapshot.id !== snapshot.id || offsetBytes === 0) await this.#begin(snapshot)
    if (offsetBytes !== this.#sizeBytes) throw new CodedError('SNAPSHOT_DAMAGED', `a piece of the snapshot is for byte ${offsetBytes}, and ${this.#sizeBytes} are here`)
    this.#file ??= await open(this.#path, 'r+')
    await this.#file.write(data, 0, data.length, offsetBytes)
    await this.#file.datasync()
    this.#sizeBytes += data.length
    if (last) await this.#complete(snapshot)
  }

  async #complete(snapshot: Snapshot): Promise<void> {
    await this.#release()
    try {
      for await (const part of readStateFile(this.#path)) if ('position' in part && part.position.index !== snapshot.index) throw new CodedError('STORE_CORRUPT', `it is of index ${part.position.index}, not ${snapshot.index}`)
    } catch (error) {
      await this.discard(snapshot.id)
      throw new CodedError('SNAPSHOT_DAMAGED', `the state that was received is damaged: ${asError(error).message}`, { cause: error })
    }
    await this.#writeNote({ snapshot, complete: true })
  }

  async discard(snapshotId: string): Promise<void> {
    if (this.#note?.snapshot.id !== snapshotId) return
    await this.#release()
    this.#note = undefined
    this.#sizeBytes = 0
    // The note first: bytes without one are nothing.
    await rm(join(this.#directory, NOTE), { force: true })
    await rm(this.#path, { force: true })
  }

  async close(): Promise<void> { await this.#release() }

  async #begin(snapshot: Snapshot): Promise<void> {
    if (this.#note) await this.discard(this.#note.snapshot.id)
    await this.#release()
    await (await open(this.#path, 'w', 0o600)).close()
    this.#sizeBytes = 0
    await this.#writeNote({ snapshot, complete: false })
  }

  async #writeNote(note: Note): Promise<void> {
    await writeFileAtomic(join(this.#directory, NOTE), JSON.stringify(note), { mode: 0o600, directoryMode: 0o700 })
    this.#note = note
  }

  async #release(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }
}

export function readStateFile(path: string): ReturnType<typeof readStateStream> {
  return readStateStream(createReadStream(path, { highWaterMark: READ_BYTES }))
}

const READ_BYTES = 256 * 1024

/** Of a note that is not there or was never finished: none; the bytes beside it are received again. */
async function readNote(path: string): Promise<Note | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Note
  } catch (error) {
    if (hasCode(error, 'ENOENT') || error instanceof SyntaxError) return undefined
    throw error
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
