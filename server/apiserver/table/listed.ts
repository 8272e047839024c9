/** A list as found, before it is printed. */
import type { Entry } from '../watch/kind-cache.ts'

export interface Listed {
  entries: readonly Entry[]
  revision: number
  continue: string
  remaining: number | undefined
  /** The shard selector of the request, when it had one: the list is a part of the whole. */
  shard?: string
}

/** `isCustom`: a list of custom resources always has its `continue`. */
export function listMeta(listed: Listed, isCustom = false): Record<string, unknown> {
  return {
    resourceVersion: String(listed.revision),
    ...((isCustom || listed.continue !== '') && { continue: listed.continue }),
    ...(listed.continue !== '' && listed.remaining !== undefined && { remainingItemCount: listed.remaining }),
    ...(listed.shard && { shardInfo: { selector: listed.shard } }),
  }
}
