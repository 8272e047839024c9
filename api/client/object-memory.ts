/** What an informer knew, kept across restarts by who has a disk; see InformersDeps.memoryOf. */
import type { KubeObject, ResourceRef, Stored } from '../types/index.ts'
import type { InformerOptions } from './client.ts'

export interface ObjectMemory {
  /** What was kept last; undefined: nothing that could be read. Never rejects. */
  load(): Promise<Stored<KubeObject>[] | undefined>
  /** The world, as the server tells it, has changed. `list` is asked when it is time to write. */
  changed(list: () => readonly Stored<KubeObject>[]): void
}

/** Undefined: this informer starts from nothing. */
export type MemoryOf = (ref: ResourceRef, options: InformerOptions<KubeObject>) => ObjectMemory | undefined

/** The server answers sooner than this, or it is away and memory serves. */
export const OFFLINE_AFTER_MS = 2_000
