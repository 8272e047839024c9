/** Items as few large buffers: many small writes are what makes a list slow. */
import { itemBytes, itemHead, writeItem } from '../storage/bytes.ts'
import type { Entry, KindCache } from '../watch/kind-cache.ts'
import type { Parts } from './call.ts'

/** Large enough that TLS and the socket work in big pieces, small enough not to hold up other requests. */
const CHUNK_BYTES = 256 * 1024
/** A whole list's buffers are kept this long, so that lists that come together are gathered once. */
const KEEP_MS = 2_000

/** The entries' list items with commas between them. */
export function joinEntries(entries: readonly Pick<Entry, 'value' | 'revision'>[]): Buffer[] {
  const chunks: Buffer[] = []
  let waiting: { head: string; value: Buffer }[] = []
  let size = 0
  for (const { value, revision } of entries) {
    const head = itemHead(revision)
    const bytes = itemBytes(head, value) + 1
    if (size > 0 && size + bytes > CHUNK_BYTES) {
      chunks.push(joined(waiting, size))
      waiting = []
      size = 0
    }
    waiting.push({ head, value })
    size += bytes
  }
  // No comma after the last one.
  if (size > 0) chunks.push(joined(waiting, size - 1))
  return chunks
}

function joined(items: readonly { head: string; value: Buffer }[], bytes: number): Buffer {
  const chunk = Buffer.allocUnsafeSlow(bytes)
  let at = 0
  for (const { head, value } of items) {
    at = writeItem(chunk, at, head, value)
    if (at < bytes) chunk[at++] = COMMA
  }
  return chunk
}

const COMMA = 0x2c

interface Kept { changes: number; chunks: readonly Buffer[] }

/** Per cache and namespace, what was gathered last. */
const keptLists = new WeakMap<KindCache, Map<string, Kept>>()

/** As joinEntries for all of a namespace ('': of everything), shared while nothing changes. */
export function wholeList(parts: Parts, cache: KindCache, namespace: string, entries: readonly Entry[]): readonly Buffer[] {
  const lists = keptLists.get(cache) ?? new Map<string, Kept>()
  keptLists.set(cache, lists)
  const kept = lists.get(namespace)
  if (kept?.changes === cache.changes) return kept.chunks
  const made: Kept = { changes: cache.changes, chunks: joinEntries(entries) }
  lists.set(namespace, made)
  parts.clock.after(KEEP_MS, () => {
    if (lists.get(namespace) === made) lists.delete(namespace)
  })
  return made.chunks
}
