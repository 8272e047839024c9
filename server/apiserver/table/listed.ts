/** A list as found, before it is printed. */
import type { Entry } from '../watch/kind-cache.ts'

export interface Listed {
  entries: readonly Entry[]
  revision: number
  continue: string
  remaining: number | undefined
}

export function listMeta(listed: Listed): Record<string, unknown> {
  return {
    resourceVersion: String(listed.revision),
    ...(listed.continue !== '' && { continue: listed.continue }),
    ...(listed.continue !== '' && listed.remaining !== undefined && { remainingItemCount: listed.remaining }),
  }
}
