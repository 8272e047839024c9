/**
 * Unpacked layers, each once, shared by all images with the same chain of layers below it.
 * `layers/<20 hex of the chain id>` is the tree itself (short, because a mount's options end at 4,096 bytes);
 * `layer-records/<same>.json` says it is whole: written after the tree was synced, so a power cut leaves no half layer.
 */
import { mkdir, readdir, rename, rm, statfs } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Log } from '#base/log.ts'
import { CodedError } from '#base/errors.ts'
import { readJsonFile, syncDirectory, writeFileAtomic } from './atomic-file.ts'
import { Gate, KeyedLock } from '#base/keyed-lock.ts'
import { SEARCH_PATH } from './run-command.ts'
import type { UnpackAnswer, UnpackJob } from './unpack-child.ts'

export interface LayerRecord { chainId: string; diffId: string; sizeBytes: number; entries: number }
/** Where the stored bytes of a layer are. */
export interface LayerSource { file: string; offset: number; sizeBytes: number; /** Undefined when verified already. */ digest?: string }

export interface LayerStoreOptions {
  dataDir: string
  /** Spawned for each layer; see `unpack-child.ts`. */
  selfCommand: readonly string[]
  allowDevices: boolean
  /** Of one unpacked layer. */
  layerBytesMax: number
  log: Log
}

const LAYER_ENTRIES_MAX = 2_000_000
/** Left free for everybody else on the medium when a layer is unpacked. */
const RESERVED_BYTES = 64 << 20
const ANSWER_BYTES_MAX = 1 << 20

export class LayerStore {
  readonly #options: LayerStoreOptions
  readonly #records = new Map<string, LayerRecord>()
  readonly #lock = new KeyedLock()
  /** One child at a time: a board has little memory, and layers build on one another anyway. */
  readonly #gate = new Gate(1)
  /** Chains a pull counts on although no image names them yet: how many hold each. */
  readonly #held = new Map<string, number>()

  constructor(options: LayerStoreOptions) {
    this.#options = options
  }

  /** Reads what is there and clears what an earlier life left half done. */
  async open(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 })
    await mkdir(this.#recordDirectory, { recursive: true, mode: 0o700 })
    const present = new Set(await readdir(this.directory))
    for (const file of await readdir(this.#recordDirectory)) {
      const record = parseRecord(await readJsonFile(join(this.#recordDirectory, file)))
      if (record && present.delete(shortName(record.chainId))) this.#records.set(record.chainId, record)
      else await rm(join(this.#recordDirectory, file), { force: true })
    }
    for (const leftover of present) {
      this.#options.log.info('removing a layer that was never finished', { layer: leftover })
      // The child of a parent that was killed may write a moment longer, and what was empty is not.
      await rm(join(this.directory, leftover), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    }
  }

  get directory(): string { return join(this.#options.dataDir, 'layers') }
  get(chainId: string): LayerRecord | undefined { return this.#records.get(chainId) }

  /** Keeps these chains from `retainOnly` until the returned function is called. */
  hold(chainIds: readonly string[]): () => void {
    for (const id of chainIds) this.#held.set(id, (this.#held.get(id) ?? 0) + 1)
    return () => {
      for (const id of chainIds) {
        const left = (this.#held.get(id) ?? 1) - 1
        if (left > 0) this.#held.set(id, left)
        else this.#held.delete(id)
      }
    }
  }

  /** Unpacks the layer unless it is there. `below`: chain ids under it, nearest first, all present. `source` is asked only when needed. */
  async ensure(layer: { chainId: string; diffId: string; below: readonly string[] }, source: () => Promise<LayerSource>): Promise<LayerRecord> {
    return this.#lock.run(layer.chainId, async () => {
      const known = this.#records.get(layer.chainId)
      if (known) return known
      const from = await source()
      return this.#gate.run(() => this.#unpack(layer, from))
    })
  }

  /** Deletes layers that are in none of the given chains and not held. */
  async retainOnly(chainIds: ReadonlySet<string>): Promise<void> {
    for (const chainId of Array.from(this.#records.keys())) {
      await this.#lock.run(chainId, async () => {
        if (chainIds.has(chainId) || this.#held.has(chainId)) return
        this.#records.delete(chainId)
        // Record first: a tree without one is a leftover, a record without its tree would be a lie.
        await rm(this.#recordPath(chainId), { force: true })
        await rm(join(this.directory, shortName(chainId)), { recursive: true, force: true })
      })
    }
  }

  usage(): { usedBytes: number; inodesUsed: number } {
    let usedBytes = 0
    let inodesUsed = 0
    for (const record of this.#records.values()) {
      usedBytes += record.sizeBytes
      inodesUsed += record.entries
    }
    return { usedBytes, inodesUsed }
  }

  async #unpack(layer: { chainId: string; diffId: string; below: readonly string[] }, from: LayerSource): Promise<LayerRecord> {
    const name = shortName(layer.chainId)
    // Named after this life: the child of a parent that was killed may still write into its own.
    const temporary = join(this.directory, `${name}.${process.pid}.tmp`)
    await rm(temporary, { recursive: true, force: true })
    await mkdir(temporary, { mode: 0o755 })
    try {
      const space = await statfs(this.directory)
      const free = space.bavail * space.bsize - RESERVED_BYTES
      if (free < from.sizeBytes) throw new CodedError('ENOSPC', `no space left on device: ${Math.max(0, free)} bytes free below ${this.#options.dataDir}, layer ${layer.diffId} needs at least ${from.sizeBytes}; remove unused images or files`)
      const result = await this.#spawnChild({
        ...from, diffId: layer.diffId, target: temporary, parents: layer.below.map((id) => this.treePath(id)),
        limits: { bytesMax: Math.min(this.#options.layerBytesMax, free), entriesMax: LAYER_ENTRIES_MAX }, allowDevices: this.#options.allowDevices,
      })
      await rename(temporary, join(this.directory, name))
      await syncDirectory(this.directory)
      const record: LayerRecord = { chainId: layer.chainId, diffId: layer.diffId, sizeBytes: result.sizeBytes, entries: result.entries }
      await writeFileAtomic(this.#recordPath(layer.chainId), JSON.stringify(record), { sync: true })
      this.#records.set(layer.chainId, record)
      return record
    } catch (error) {
      await rm(temporary, { recursive: true, force: true })
      throw error
    }
  }

  treePath(chainId: string): string { return join(this.directory, shortName(chainId)) }

  #spawnChild(job: UnpackJob): Promise<{ sizeBytes: number; entries: number }> {
    const [program = '', ...args] = this.#options.selfCommand
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: SEARCH_PATH, MALLOC_ARENA_MAX: '1' } })
      let out = ''
      let err = ''
      child.stdout.on('data', (chunk: Buffer) => { if (out.length < ANSWER_BYTES_MAX) out += chunk.toString() })
      child.stderr.on('data', (chunk: Buffer) => { if (err.length < ANSWER_BYTES_MAX) err += chunk.toString() })
      // The exit code tells what went wrong when the child did not read its job.
      child.stdin.on('error', () => {})
      // Left open: when we die, the child sees it end and dies too, instead of writing beside our successor.
      child.stdin.write(`${JSON.stringify(job)}\n`)
      child.on('error', (error) => reject(new CodedError('CRI_FAILED', `cannot run ${program} to unpack a layer: ${error.message}`, { cause: error })))
      child.on('close', (code, signal) => {
        const answer = parseAnswer(out)
        if (answer?.ok) resolve(answer)
        else if (answer) reject(new CodedError(answer.code, answer.message))
        else reject(new CodedError('CRI_FAILED', `unpacking layer ${job.diffId} ended with ${signal ?? `exit code ${code}`}: ${err.trim().slice(-2000) || 'no output'}`))
      })
    })
  }

  get #recordDirectory(): string { return join(this.#options.dataDir, 'layer-records') }
  #recordPath(chainId: string): string { return join(this.#recordDirectory, `${shortName(chainId)}.json`) }
}

/** OCI image spec, "Layer ChainID". Base layer first. */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffId : `sha256:${createHash('sha256').update(`${below} ${diffId}`).digest('hex')}`)
  }
  return chain
}

/** 80 bits: enough that no two chains of one machine collide, short enough for 127 of them in one mount. */
function shortName(chainId: string): string {
  return chainId.slice('sha256:'.length, 'sha256:'.length + 20)
}

function parseRecord(value: unknown): LayerRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { chainId, diffId, sizeBytes, entries } = value as Partial<Record<keyof LayerRecord, unknown>>
  if (typeof chainId !== 'string' || typeof diffId !== 'string' || typeof sizeBytes !== 'number' || typeof entries !== 'number') return undefined
  return { chainId, diffId, sizeBytes, entries }
}

function parseAnswer(text: string): UnpackAnswer | undefined {
  try {
    return JSON.parse(text) as UnpackAnswer
  } catch {
    // The child died before it answered: its exit and stderr are reported instead.
    return undefined
  }
}
