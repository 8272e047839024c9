/** What is remembered of a sandbox or container: one small JSON file each, replaced whole. The rest is read off the machine. */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerConfig, ContainerState, PodSandboxConfig, SandboxState } from '../runtime.ts'
import { readJsonFile, writeFileAtomic } from './atomic-file.ts'
import type { ProcessIdentity } from './process-identity.ts'

export interface SandboxRecord {
  id: string
  config: PodSandboxConfig
  /** 'creating': a crash then leaves only things to clean up. */
  state: SandboxState | 'creating'
  createdAtMs: number
  ips: string[]
  /** Undefined with the host's network. */
  netnsPath: string | undefined
  /** Init of the shared process namespace, if any. */
  pause: ProcessIdentity | undefined
}

export interface ContainerRecord {
  id: string
  sandboxId: string
  config: ContainerConfig
  state: ContainerState
  imageId: string
  imageRef: string
  /** Layers it stands on, base first: they outlive the removal of the image. */
  chain: string[]
  /** What its image volumes stand on; undefined: it has none. */
  volumeImages?: { id: string; chain: string[] }[]
  stopSignal: string
  createdAtMs: number
  startedAtMs: number
  finishedAtMs: number
  exitCode: number
  reason: string
  message: string
  logPath: string
  /** Below each controller's root. */
  cgroupPath: string
  /** Undefined for records of before skiff kept it. */
  user?: { uid: number; gid: number; supplementalGroups: number[] }
  process: ProcessIdentity | undefined
  conmon: ProcessIdentity | undefined
}

/** Files `<id>.json` in one directory, all held in memory. */
export class RecordStore<T extends { id: string }> {
  readonly #directory: string
  readonly #records = new Map<string, T>()

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Unreadable files (a power cut in the middle) are removed; their ids are returned for cleaning up. */
  async open(): Promise<string[]> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const lost: string[] = []
    for (const file of await readdir(this.#directory)) {
      const path = join(this.#directory, file)
      const value = file.endsWith('.json') ? await readJsonFile(path) : undefined
      const id = file.replace(/\.json.*$/, '')
      if (typeof value === 'object' && value !== null && (value as { id?: unknown }).id === id) this.#records.set(id, value as T)
      else {
        lost.push(id)
        await rm(path, { force: true })
      }
    }
    return lost
  }

  get(id: string): T | undefined { return this.#records.get(id) }
  all(): T[] { return [...this.#records.values()] }

  /** In memory at once, on disk when it resolves. */
  async put(record: T): Promise<T> {
    this.#records.set(record.id, record)
    await writeFileAtomic(join(this.#directory, `${record.id}.json`), JSON.stringify(record))
    return record
  }

  async delete(id: string): Promise<void> {
    this.#records.delete(id)
    await rm(join(this.#directory, `${id}.json`), { force: true })
  }
}
