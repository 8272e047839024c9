/**
 * Items as few large buffers: many small writes are what makes a list slow. A list of everything is kept for a while, and
 * the next one, after changes, takes from it what they left alone: who lists again copies little and leaves little behind.
 */
import { itemBytes, itemHead, itemStart, writeItem } from '../storage/bytes.ts'
import type { Entry, KindCache } from '../watch/kind-cache.ts'
import type { Parts } from './call.ts'

/** Large enough that TLS and the socket work in big pieces, small enough not to hold up other requests. */
const CHUNK_BYTES = 256 * 1024
/** What became smaller than this is copied again, together with what comes after it. */
const REUSED_BYTES_MIN = CHUNK_BYTES / 2
/** A list's buffers are kept until nobody asked for it for so long. */
const KEEP_MS = 2_000

type Item = Pick<Entry, 'value' | 'revision'>

interface Piece {
  readonly items: readonly Item[]
  /** Each item with a comma after it. */
  readonly bytes: Buffer
}

/** The entries' list items with commas between them. */
export function joinEntries(entries: readonly Item[], start = itemStart()): Buffer[] {
  return chunksOf(piecesOf(entries, [], start))
}

/** An entry never changes: a piece of `former` that begins with the same one, and goes on with the same ones, is taken as it is. */
export function piecesOf(entries: readonly Item[], former: readonly Piece[], start = itemStart()): Piece[] {
  const known = new Map<Item | undefined, Piece>()
  for (const piece of former) if (piece.bytes.length >= REUSED_BYTES_MIN) known.set(piece.items[0], piece)
  const pieces: Piece[] = []
  for (let at = 0; at < entries.length;) {
    const same = known.get(entries[at])
    const piece = same && stands(same, entries, at) ? same : gathered(entries, at, known, start)
    pieces.push(piece)
    at += piece.items.length
  }
  return pieces
}

function stands({ items }: Piece, entries: readonly Item[], at: number): boolean {
  for (let i = 0; i < items.length; i++) if (entries[at + i] !== items[i]) return false
  return true
}

/** From `at` until it is large enough, or where a known piece begins. */
function gathered(entries: readonly Item[], at: number, known: ReadonlyMap<Item | undefined, Piece>, start: string): Piece {
  const heads: string[] = []
  let size = 0
  let end = at
  do {
    const { value, revision } = entries[end] as Item
    const head = itemHead(revision, start)
    const bytes = itemBytes(head, value) + 1
    if (size > 0 && size + bytes > CHUNK_BYTES) break
    heads.push(head)
    size += bytes
    end++
  } while (end < entries.length && !known.has(entries[end]))
  const items = entries.slice(at, end)
  const bytes = Buffer.allocUnsafeSlow(size)
  let to = 0
  for (let i = 0; i < items.length; i++) {
    to = writeItem(bytes, to, heads[i] as string, (items[i] as Item).value)
    bytes[to++] = COMMA
  }
  return { items, bytes }
}

const COMMA = 0x2c

/** No comma after the last one. */
function chunksOf(pieces: readonly Piece[]): Buffer[] {
  return pieces.map(({ bytes }, i) => (i === pieces.length - 1 ? bytes.subarray(0, -1) : bytes))
}

interface Kept { changes: number; pieces: readonly Piece[]; chunks: readonly Buffer[]; isWanted: boolean }

/** Per cache, and per namespace and how items begin, what was gathered last. */
const keptLists = new WeakMap<KindCache, Map<string, Kept>>()

/** As joinEntries for all of a namespace ('': of everything), shared while nothing changes. */
export function wholeList(parts: Pick<Parts, 'clock'>, cache: KindCache, namespace: string, entries: readonly Entry[], start = itemStart()): readonly Buffer[] {
  const key = start + namespace
  const lists = keptLists.get(cache) ?? new Map<string, Kept>()
  keptLists.set(cache, lists)
  const kept = lists.get(key)
  if (kept?.changes === cache.changes) {
    kept.isWanted = true
    return kept.chunks
  }
  const pieces = piecesOf(entries, kept?.pieces ?? [], start)
  const made: Kept = { changes: cache.changes, pieces, chunks: chunksOf(pieces), isWanted: true }
  if (kept) Object.assign(kept, made)
  else {
    lists.set(key, made)
    keep(parts, lists, key, made)
  }
  return made.chunks
}

function keep(parts: Pick<Parts, 'clock'>, lists: Map<string, Kept>, key: string, kept: Kept): void {
  kept.isWanted = false
  parts.clock.after(KEEP_MS, () => {
    if (kept.isWanted) keep(parts, lists, key, kept)
    else lists.delete(key)
  })
}
