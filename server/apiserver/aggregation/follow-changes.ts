/** Tells of each change of a watch cache from now on. */
import type { Entry, Follower, KindCache } from '../watch/kind-cache.ts'

/** `onLost`: some changes went by untold, look at everything. Returns what stops it. */
export function followChanges(cache: KindCache, onChange: (entry: Entry) => void, onLost: () => void): () => void {
  const state = { position: cache.ringEnd }
  const follower: Follower = {
    get position() { return state.position },
    onEvents() {
      for (let event = cache.event(state.position); event; event = cache.event(state.position)) {
        state.position++
        const entry = event.after ?? event.before
        if (entry) onChange(entry)
      }
    },
    onLost() {
      state.position = cache.ringEnd
      onLost()
    },
    onClosed() { /* the server ends */ },
  }
  cache.follow(follower)
  return () => cache.unfollow(follower)
}
