/** Shard selectors (KEP-5866): the part of a collection whose uids or namespaces hash into given ranges. Pure. */
import type { Entry } from './kind-cache.ts'

export type ShardField = 'uid' | 'namespace'

export interface ShardRange { field: ShardField; /** Inclusive. */ start: bigint; /** Exclusive; 2^64 at most. */ end: bigint }

export type ParsedShards = { ok: true; ranges: readonly ShardRange[] } | { ok: false; message: string }

/** More ranges in one selector say nothing that fewer could not. */
const RANGES_MAX = 64
const HASH_END = 1n << 64n

/** `shardRange(object.metadata.uid, '0x0', '0x8000000000000000') || ...`; '' is no selector: no ranges. */
export function parseShardSelector(text: string): ParsedShards {
  const trimmed = text.trim()
  if (trimmed === '') return { ok: true, ranges: [] }
  const terms = trimmed.split('||', RANGES_MAX + 1)
  if (terms.length > RANGES_MAX) return { ok: false, message: `more than ${RANGES_MAX} ranges` }
  const ranges: ShardRange[] = []
  for (const term of terms) {
    const match = /^shardRange\(\s*object\.metadata\.(\w+)\s*,\s*'0x([0-9a-fA-F]{1,17})'\s*,\s*'0x([0-9a-fA-F]{1,17})'\s*\)$/.exec(term.trim())
    if (!match) return { ok: false, message: `${JSON.stringify(term.trim())} is not of the form shardRange(object.metadata.uid, '0x<start>', '0x<end>')` }
    const [, field = '', from = '', to = ''] = match
    if (field !== 'uid' && field !== 'namespace') return { ok: false, message: `unsupported field path "object.metadata.${field}", supported: "object.metadata.uid", "object.metadata.namespace"` }
    const [start, end] = [BigInt(`0x${from}`), BigInt(`0x${to}`)]
    if (end > HASH_END || start >= end) return { ok: false, message: `the range from 0x${from} to 0x${to} must be within [0x0, 0x10000000000000000) and not empty` }
    if (ranges[0] && ranges[0].field !== field) return { ok: false, message: 'all ranges must be of the same field' }
    ranges.push({ field, start, end })
  }
  return { ok: true, ranges }
}

export function inShard(ranges: readonly ShardRange[], entry: Pick<Entry, 'uid' | 'namespace'>): boolean {
  const [first] = ranges
  if (!first) return true
  const hash = fnv64(first.field === 'uid' ? entry.uid : entry.namespace)
  return ranges.some(({ start, end }) => hash >= start && hash < end)
}

const FNV_OFFSET = 0xcbf29ce484222325n
const FNV_PRIME = 0x100000001b3n

/** FNV-1a, 64 bits, over the text's UTF-8. */
export function fnv64(text: string): bigint {
  let hash = FNV_OFFSET
  for (const byte of Buffer.from(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME)
  return hash
}
