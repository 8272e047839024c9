/** Told by the kernel (inotify) when conmon has written `<exits>/<id>`: nothing polls. */
import { readFileSync, statSync, watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'

export interface ContainerExit { exitCode: number; atMs: number }

export class ExitWatch {
  readonly #directory: string
  #watcher: FSWatcher | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  /** `onExit` may be called more than once per container and for files that are gone again. */
  async open(onExit: (id: string) => void, onError: (error: Error) => void): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    this.#watcher = watch(this.#directory, { persistent: false }, (_, name) => {
      if (typeof name === 'string' && /^[0-9a-f]{64}$/.test(name)) onExit(name)
    })
    this.#watcher.on('error', onError)
  }

  /** Undefined until it has exited. At once: the file is in memory, and somebody may wait for the next start. */
  read(id: string): ContainerExit | undefined {
    const path = join(this.#directory, id)
    try {
      const text = readFileSync(path, 'utf8').trim()
      const exitCode = Number(text)
      return { exitCode: /^-?\d+$/.test(text) ? exitCode : 255, atMs: statSync(path).mtimeMs }
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
  }

  async forget(id: string): Promise<void> {
    await rm(join(this.#directory, id), { force: true })
  }

  close(): void {
    this.#watcher?.close()
  }
}
