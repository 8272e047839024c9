/** Items as few large buffers: many small writes are what makes a list slow. */
import type { Entry, KindCache } from '../watch/kind-cache.ts'
import type { Parts } from './call.ts'

/** Large enough that TLS and the socket work in big pieces, small enough not to hold up other requests. */
const CHUNK_BYTES = 256 * 1024
/** A whole list's buffers are kept this long, so that lists that come together are gathered once. */
const KEEP_MS = 2_000

/** The entries' bytes with commas between them. */
export function joinEntries(entries: readonly { readonly bytes: Buffer }[]): Buffer[] {
  const chunks: Buffer[] = []
  let from = 0
  while (from < entries.length) {
    let to = from
    let size = 0
    while (to < entries.length && (size === 0 || size + (entries[to] as { bytes: Buffer }).bytes.length < CHUNK_BYTES)) size += (entries[to++] as { bytes: Buffer }).bytes.length + 1
    const isLast = to === entries.length
    const chunk = Buffer.allocUnsafeSlow(isLast ? size - 1 : size)
    let at = 0
    for (let i = from; i < to; i++) {
      const { bytes } = entries[i] as { bytes: Buffer }
      at += bytes.copy(chunk, at)
      if (at < chunk.length) chunk[at++] = COMMA
    }
    chunks.push(chunk)
    from = to
  }
  return chunks
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
