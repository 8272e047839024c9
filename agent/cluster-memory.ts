/**
 * What proxy, DNS, pods' environments and the overlay need of the cluster, kept on disk: a node that starts while its
 * server is away serves from it. One file a kind, written when something it tells has changed: at once after a start, later
 * within seconds as long as that is rare, on average once a minute while it goes on, and at the end. With `--flash-profile gentle` a minute, and
 * a quarter of an hour.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MemoryOf, ObjectMemory } from '#api/client/object-memory.ts'
import { ENDPOINT_SLICES, NODES, SERVICES, type KubeObject, type Node, type ResourceRef, type Stored } from '#api/types/index.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { VTEP_MAC_ANNOTATION } from './node-network/peers.ts'

export type FlashProfile = 'normal' | 'gentle'

/** `delayMs`: a change is on disk this soon. `pauseMs`: each write takes so long, on average, while changes go on. */
const PACES: Readonly<Record<FlashProfile, { delayMs: number; pauseMs: number }>> = {
  normal: { delayMs: 5_000, pauseMs: 60_000 },
  gentle: { delayMs: 60_000, pauseMs: 900_000 },
}
/** Flash cards: so many writes of one kind may come that quickly in as many minutes; a node may be killed right after its first pods became ready. */
const QUICK_WRITES = 5
const FILE_BYTES_MAX = 64 * 1024 * 1024

export interface ClusterMemory {
  readonly of: MemoryOf
  /** Writes what is not written yet. */
  close(): Promise<void>
}

/** `nodeName`: this node's own Node is not kept; it must not be taken for registered. `directory` is made when needed. */
export function createClusterMemory(directory: string, nodeName: string, deps: { clock: Clock; log: Log; profile?: FlashProfile }): ClusterMemory {
  const parts = { clock: deps.clock, log: deps.log, pace: PACES[deps.profile ?? 'normal'] }
  const kept = new Map<ResourceRef, { fit: (object: Stored<KubeObject>) => Stored<KubeObject> | undefined; kind?: KindMemory }>([
    [SERVICES, { fit: (o) => o }],
    [ENDPOINT_SLICES, { fit: (o) => o }],
    [NODES, { fit: (o) => (o.metadata.name === nodeName ? undefined : asPeer(o)) }],
  ])
  return {
    of(ref, { fieldSelector, labelSelector, namespace, metadataOnly }) {
      const entry = kept.get(ref)
      // A part of the kind is another world.
      if (!entry || fieldSelector !== undefined || labelSelector !== undefined || namespace !== undefined || metadataOnly) return undefined
      return (entry.kind ??= new KindMemory(join(directory, `${ref.resource}.json`), entry.fit, parts))
    },
    async close() {
      for (const { kind } of kept.values()) await kind?.close()
    },
  }
}

class KindMemory implements ObjectMemory {
  readonly #path: string
  readonly #fit: (object: Stored<KubeObject>) => Stored<KubeObject> | undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #pace: { delayMs: number; pauseMs: number }
  #list: (() => readonly Stored<KubeObject>[]) | undefined
  #cancel: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()
  /** The first of this life is written at once: a node that joins and is cut off the next moment has nothing else to start its pods from. */
  #isFirst = true
  /** Of the last writes, oldest first. */
  #writesMs: number[] = []
  /** What the file says, but for resource versions: a heartbeat changes nothing worth a write. */
  #written: string | undefined

  constructor(path: string, fit: (object: Stored<KubeObject>) => Stored<KubeObject> | undefined, { clock, log, pace }: { clock: Clock; log: Log; pace: { delayMs: number; pauseMs: number } }) {
    this.#path = path
    this.#fit = fit
    this.#clock = clock
    this.#log = log
    this.#pace = pace
  }

  async load(): Promise<Stored<KubeObject>[] | undefined> {
    try {
      const { size } = await stat(this.#path)
      if (size > FILE_BYTES_MAX) throw new Error(`${size} bytes are too many`)
      const parsed = JSON.parse(await readFile(this.#path, 'utf8')) as { items?: unknown }
      if (!Array.isArray(parsed.items) || !parsed.items.every(isObject)) throw new Error('it is no list of objects')
      return parsed.items
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) this.#log.warn('what was known of the cluster cannot be read and is ignored: it comes back with the server', { file: this.#path, error: asError(error) })
      return undefined
    }
  }

  changed(list: () => readonly Stored<KubeObject>[]): void {
    this.#list = list
    const oldestMs = this.#writesMs.length < QUICK_WRITES ? -Infinity : (this.#writesMs[0] ?? 0)
    const restMs = oldestMs + QUICK_WRITES * this.#pace.pauseMs - this.#clock.monotonicMs()
    this.#cancel ??= this.#clock.after(this.#isFirst ? 0 : Math.max(this.#pace.delayMs, restMs), () => this.#write())
  }

  async close(): Promise<void> {
    if (this.#cancel) {
      this.#cancel()
      this.#write()
    }
    await this.#writing
    this.#cancel?.()
  }

  #write(): void {
    this.#cancel = undefined
    if (!this.#isFirst) this.#writesMs = [...this.#writesMs, this.#clock.monotonicMs()].slice(-QUICK_WRITES)
    this.#isFirst = false
    this.#writing = this.#writing.then(() => this.#save()).catch((error: unknown) => {
      // The disk may have room again later.
      this.#cancel ??= this.#clock.after(this.#pace.pauseMs, () => this.#write())
      this.#log.warn('what is known of the cluster could not be kept for a start without the server', { file: this.#path, error: asError(error) })
    })
  }

  async #save(): Promise<void> {
    const items = (this.#list?.() ?? []).flatMap((o) => this.#fit(o) ?? []).toSorted((a, b) => (keyText(a) < keyText(b) ? -1 : 1))
    const content = contentOf(items)
    // A start finds what it needs on disk already, as a rule.
    if (this.#written === undefined) {
      const kept = await this.load()
      this.#written = kept && contentOf(kept)
    }
    if (content === this.#written) {
      this.#writesMs.pop()
      return
    }
    await writeFileAtomic(this.#path, `${JSON.stringify({ items })}\n`, { mode: 0o600, directoryMode: 0o700 })
    this.#written = content
  }
}

const contentOf = (items: readonly Stored<KubeObject>[]): string => JSON.stringify(items.map((item) => ({ ...item, metadata: { ...item.metadata, resourceVersion: undefined } })))

const keyText = (o: Stored<KubeObject>): string => `${o.metadata.namespace ?? ''}/${o.metadata.name}`

function isObject(value: unknown): value is Stored<KubeObject> {
  const metadata = (value as { metadata?: { name?: unknown; uid?: unknown } } | null)?.metadata
  return typeof metadata?.name === 'string' && typeof metadata.uid === 'string'
}

/** Of another node only the way to it. */
function asPeer(object: Stored<KubeObject>): Stored<KubeObject> {
  const { apiVersion, kind, metadata: { name, uid, resourceVersion, annotations }, spec, status } = object as Stored<Node>
  const mac = annotations?.[VTEP_MAC_ANNOTATION]
  return {
    apiVersion, kind, metadata: { name, uid, resourceVersion, ...(mac !== undefined && { annotations: { [VTEP_MAC_ANNOTATION]: mac } }) },
    spec: { podCIDR: spec?.podCIDR, podCIDRs: spec?.podCIDRs }, status: { addresses: status?.addresses },
  } as unknown as Stored<KubeObject>
}
