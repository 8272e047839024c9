/**
 * Items as few large buffers: many small writes are what makes a list slow. A list of everything is kept for a while, and
 * the next one, after changes, takes from it what they left alone: who lists again copies little and leaves little behind.
 */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Item, ItemForm, ListForm, Part } from '../table/list-form.ts'
import type { Entry, KindCache } from '../watch/kind-cache.ts'
import type { Parts } from './call.ts'

/** Large enough that TLS and the socket work in big pieces, small enough not to hold up other requests. */
const CHUNK_BYTES = 256 * 1024
/** What became smaller than this is copied again, together with what comes after it. */
const REUSED_BYTES_MIN = CHUNK_BYTES / 2
/** A list's buffers are kept until nobody asked for it for so long. */
const KEEP_MS = 2_000

export interface Piece {
  readonly items: readonly Item[]
  /** Each item with the separator after it. */
  readonly bytes: Buffer
  /** How many of the bytes are each item's. */
  readonly sizes: readonly number[]
}

export function printList(form: ListForm, items: readonly Buffer[]): ApiResponse {
  const { head, tail } = form.around(items.reduce((bytes, chunk) => bytes + chunk.length, 0))
  return { status: 200, headers: { 'content-type': form.contentType }, body: [head, ...items, tail] }
}

/** The entries in the form. */
export function joinEntries<T extends Item>(entries: readonly T[], form: ItemForm<T>): Buffer[] {
  return chunksOf(new Pieces(entries, [], form).all(), form)
}

/** A list's pieces, each made when somebody first wants it: a long list in a form that costs much holds up nobody for all of it. */
export class Pieces<T extends Item = Item> {
  readonly #entries: readonly T[]
  readonly #form: ItemForm<T>
  /** Those of a former list, by the item they begin with. */
  readonly #known = new Map<Item | undefined, Piece>()
  readonly #made: Piece[] = []
  #entriesAt = 0

  constructor(entries: readonly T[], former: readonly Piece[], form: ItemForm<T>) {
    this.#entries = entries
    this.#form = form
    for (const piece of former) if (piece.bytes.length >= REUSED_BYTES_MIN) this.#known.set(piece.items[0], piece)
  }

  /** Those made so far. */
  get made(): readonly Piece[] { return this.#made }

  /** Undefined: there are no more. Asked for in order, or again. */
  at(index: number): Piece | undefined {
    while (this.#made.length <= index && this.#entriesAt < this.#entries.length) this.#make()
    return this.#made[index]
  }

  all(): readonly Piece[] {
    while (this.#entriesAt < this.#entries.length) this.#make()
    return this.#made
  }

  /** An entry never changes: a known piece that begins with the same one, and goes on with the same ones, is taken as it is. */
  #make(): void {
    const same = this.#known.get(this.#entries[this.#entriesAt])
    const piece = same && stands(same, this.#entries, this.#entriesAt) ? same : gathered(this.#entries, this.#entriesAt, this.#known, this.#form)
    this.#made.push(piece)
    this.#entriesAt += piece.items.length
    if (this.#entriesAt === this.#entries.length) this.#known.clear()
  }
}

function stands({ items }: Piece, entries: readonly Item[], at: number): boolean {
  for (let i = 0; i < items.length; i++) if (entries[at + i] !== items[i]) return false
  return true
}

/** From `at` until it is large enough, or where a known piece begins. */
function gathered<T extends Item>(entries: readonly T[], at: number, known: ReadonlyMap<Item | undefined, Piece>, form: ItemForm<T>): Piece {
  const parts: Part[] = []
  const sizes: number[] = []
  let size = 0
  let end = at
  do {
    const before = size
    const item = form.parts(entries[end] as T)
    parts.push(...item, form.separator)
    size += form.separator.length
    for (const part of item) size += part.length
    sizes.push(size - before)
    end++
  } while (end < entries.length && size < CHUNK_BYTES && !known.has(entries[end]))
  const bytes = Buffer.allocUnsafeSlow(size)
  let to = 0
  for (const part of parts) to += typeof part === 'string' ? bytes.write(part, to, 'latin1') : part.copy(bytes, to)
  return { items: entries.slice(at, end), bytes, sizes }
}

/** No separator after the last one. */
function chunksOf(pieces: readonly Piece[], { separator }: { readonly separator: string }): Buffer[] {
  return pieces.map(({ bytes }, i) => (i === pieces.length - 1 ? bytes.subarray(0, bytes.length - separator.length) : bytes))
}

interface Kept { changes: number; pieces: Pieces<Entry>; /** Once a whole list was asked for. */ chunks: readonly Buffer[] | undefined; isWanted: boolean }

/** Per cache, and per form and namespace, what was gathered last. */
const keptLists = new WeakMap<KindCache, Map<string, Kept>>()

/** As joinEntries for all of a namespace ('': of everything), shared while nothing changes. */
export function wholeList(parts: Pick<Parts, 'clock'>, cache: KindCache, namespace: string, entries: readonly Entry[], form: ItemForm<Entry>): readonly Buffer[] {
  if (form.key === undefined) return joinEntries(entries, form)
  const kept = keptList(parts, cache, `${form.key} ${namespace}`, entries, form)
  return (kept.chunks ??= chunksOf(kept.pieces.all(), form))
}

/** The same piece by piece, for a form that has a key. */
export function wholePieces(parts: Pick<Parts, 'clock'>, cache: KindCache, namespace: string, entries: readonly Entry[], form: ItemForm<Entry> & { readonly key: string }): Pieces<Entry> {
  return keptList(parts, cache, `${form.key} ${namespace}`, entries, form).pieces
}

function keptList(parts: Pick<Parts, 'clock'>, cache: KindCache, key: string, entries: readonly Entry[], form: ItemForm<Entry>): Kept {
  const lists = keptLists.get(cache) ?? new Map<string, Kept>()
  keptLists.set(cache, lists)
  const kept = lists.get(key)
  if (kept?.changes === cache.changes) {
    kept.isWanted = true
    return kept
  }
  const made: Kept = { changes: cache.changes, pieces: new Pieces(entries, kept?.pieces.made ?? [], form), chunks: undefined, isWanted: true }
  if (kept) return Object.assign(kept, made)
  lists.set(key, made)
  keep(parts, lists, key, made)
  return made
}

function keep(parts: Pick<Parts, 'clock'>, lists: Map<string, Kept>, key: string, kept: Kept): void {
  kept.isWanted = false
  parts.clock.after(KEEP_MS, () => {
    if (kept.isWanted) keep(parts, lists, key, kept)
    else lists.delete(key)
  })
}
