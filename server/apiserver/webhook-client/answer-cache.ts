/** Answers of a webhook, kept for a while, and asked for once at a time. */
import type { Clock } from '#base/clock.ts'

export interface AnswerCache<T> {
  /** From the cache, or from `ask`; who asks the same meanwhile gets the same. Failures are not kept. */
  get(key: string, ask: () => Promise<T>): Promise<T>
}

/** `keepMs` of an answer; 0: not at all. The least recently used answers go first. */
export function createAnswerCache<T>(clock: Clock, keepMs: (answer: T) => number, entriesMax: number): AnswerCache<T> {
  const kept = new Map<string, { answer: T; untilMs: number }>()
  const asking = new Map<string, Promise<T>>()

  const ask = async (key: string, from: () => Promise<T>): Promise<T> => {
    try {
      const answer = await from()
      const ms = keepMs(answer)
      if (ms > 0) kept.set(key, { answer, untilMs: clock.monotonicMs() + ms })
      const [oldest] = kept.keys()
      if (kept.size > entriesMax && oldest !== undefined) kept.delete(oldest)
      return answer
    } finally {
      asking.delete(key)
    }
  }

  return {
    async get(key, from) {
      const found = kept.get(key)
      kept.delete(key)
      if (found && found.untilMs > clock.monotonicMs()) {
        kept.set(key, found)
        return found.answer
      }
      let pending = asking.get(key)
      if (!pending) asking.set(key, (pending = ask(key, from)))
      return pending
    },
  }
}
