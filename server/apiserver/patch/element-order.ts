/** The order of a merged list: elements the patch names in the patch's order, the server's own woven in where they stood. */
import { isObject } from './result.ts'

export const sameElement = (a: unknown, b: unknown, mergeKey: string | undefined): boolean => identity(a, mergeKey) === identity(b, mergeKey)

/** What tells elements apart: the merge key's value, of which null is as good as none, or the scalar itself. */
function identity(item: unknown, mergeKey: string | undefined): unknown {
  return mergeKey !== undefined && isObject(item) ? item[mergeKey] ?? undefined : item
}

export function splitByPresence(list: readonly unknown[], inList: readonly unknown[], mergeKey: string | undefined): { present: unknown[]; absent: unknown[] } {
  const known = new Set(inList.map((item) => identity(item, mergeKey)))
  const present: unknown[] = []
  const absent: unknown[] = []
  for (const item of list) (known.has(identity(item, mergeKey)) ? present : absent).push(item)
  return { present, absent }
}

export interface OrderInput {
  patched: readonly unknown[]
  serverOnly: readonly unknown[]
  patchOrder: readonly unknown[]
  serverOrder: readonly unknown[]
  mergeKey: string | undefined
}

/**
 * The relative orders within `patched` and within `serverOnly` win over the server's: each server-only element goes before
 * the first patched one that stood after it on the server, scanning from the last place used.
 */
export function orderElements({ patched, serverOnly, patchOrder, serverOrder, mergeKey }: OrderInput): unknown[] {
  const right = sortBy(patched, patchOrder, mergeKey)
  const left = sortBy(serverOnly, serverOrder, mergeKey)
  const rank = ranks(serverOrder, mergeKey)
  const merged: unknown[] = []
  let l = 0
  let r = 0
  while (l < left.length && r < right.length) {
    const leftRank = rank.get(identity(left[l], mergeKey))
    const rightRank = rank.get(identity(right[r], mergeKey))
    merged.push(leftRank !== undefined && rightRank !== undefined && leftRank < rightRank ? left[l++] : right[r++])
  }
  return [...merged, ...right.slice(r), ...left.slice(l)]
}

function ranks(order: readonly unknown[], mergeKey: string | undefined): Map<unknown, number> {
  const rank = new Map<unknown, number>()
  order.forEach((item, i) => { if (!rank.has(identity(item, mergeKey))) rank.set(identity(item, mergeKey), i) })
  return rank
}

function sortBy(list: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): unknown[] {
  const rank = ranks(order, mergeKey)
  const at = (item: unknown) => rank.get(identity(item, mergeKey)) ?? Number.MAX_SAFE_INTEGER
  return list.toSorted((a, b) => at(a) - at(b))
}
