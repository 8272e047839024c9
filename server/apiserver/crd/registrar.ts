/**
 * Keeps the table of kinds as the CustomResourceDefinitions in the store say: a change is in the table before whoever made it has
 * the answer. Told of each change is also the loop that keeps their conditions (loop.ts).
 */
import type { Store, Watch, WatchEvent } from '#server/store/store.ts'
import type { Rows } from '../rows.ts'
import { prefixOf } from '../storage/keys.ts'
import type { KindCaches } from '../watch/kind-cache.ts'
import type { ConversionParts } from './conversion.ts'
import { createShape, customRows, shapeId, type Shape } from './custom-kind.ts'
import { CRDS, isServed, isTerminating, parseDefinition, type Definition } from './definition.ts'

export interface RegistrarParts { store: Store; rows: Rows; caches: KindCaches; conversion: ConversionParts }

interface Known { definition: Definition; shape: Shape | undefined; isTerminating: boolean }

export class Registrar {
  readonly #parts: RegistrarParts
  readonly #known = new Map<string, Known>()
  readonly #listeners: ((name: string) => void)[] = []
  #watch: Watch | undefined
  #ready = false

  constructor(parts: RegistrarParts) { this.#parts = parts }

  /** All definitions that were stored are in the table. */
  get isReady(): boolean { return this.#ready }
  get(name: string): Definition | undefined { return this.#known.get(name)?.definition }
  all(): Definition[] { return [...this.#known.values()].map((k) => k.definition) }

  /** The definition of a group's resource. */
  isCustom(group: string, version: string): boolean {
    for (const { definition } of this.#known.values()) if (definition.group === group && definition.versions.some((v) => v.name === version && v.served)) return true
    return false
  }

  /** After each change, with the definition's name; what is there already is told at once. */
  onChange(listener: (name: string) => void): void {
    this.#listeners.push(listener)
    for (const name of this.#known.keys()) listener(name)
  }

  async start(): Promise<void> {
    const prefix = prefixOf(CRDS)
    const { items, revision } = await this.#parts.store.list({ prefix })
    for (const { value, modRevision } of items) this.#put(parseDefinition(value, modRevision))
    this.#watch = this.#parts.store.watch({ prefix, afterRevision: revision }, (events) => { for (const event of events) this.#apply(event) })
    this.#ready = true
  }

  close(): void { this.#watch?.close() }

  #apply({ current, key }: WatchEvent): void {
    if (current) this.#put(parseDefinition(current.value, current.modRevision))
    else this.#remove(key.slice(prefixOf(CRDS).length))
  }

  #put(definition: Definition): void {
    const { name } = definition
    const before = this.#known.get(name)
    const terminating = isTerminating(definition)
    const isSame = before?.shape?.id === shapeId(definition)
    const shape = !isServed(definition) ? undefined : isSame ? before?.shape : createShape(definition, this.#parts.conversion)
    this.#known.set(name, { definition, shape, isTerminating: terminating })
    if (shape !== before?.shape || terminating !== before?.isTerminating) this.#parts.rows.put(name, shape ? customRows(definition, shape) : [])
    if (before && shape !== before.shape) this.#dropCaches(before.definition)
    this.#tell(name)
  }

  #remove(name: string): void {
    const before = this.#known.get(name)
    this.#known.delete(name)
    this.#parts.rows.put(name, [])
    if (before) this.#dropCaches(before.definition)
    this.#tell(name)
  }

  /** Who watches is sent away, and comes back to what is served now. */
  #dropCaches({ group, names, scope }: Definition): void {
    this.#parts.caches.drop({ group, resource: names.plural, namespaced: scope === 'Namespaced' })
  }

  #tell(name: string): void { for (const listener of this.#listeners) listener(name) }
}
