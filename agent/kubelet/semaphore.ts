/** At most `count` holders at a time; the others wait in line. */
export interface Semaphore {
  /** Resolves to the release. Rejects when aborted while waiting. */
  take(signal: AbortSignal): Promise<() => void>
}

export function createSemaphore(count: number): Semaphore {
  let free = count
  const line: (() => void)[] = []
  const release = () => {
    const next = line.shift()
    if (next) next()
    else free++
  }
  const once = () => {
    let held = true
    return () => {
      if (held) release()
      held = false
    }
  }
  return {
    take(signal) {
      if (signal.aborted) return Promise.reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      if (free > 0) {
        free--
        return Promise.resolve(once())
      }
      return new Promise((resolve, reject) => {
        const enter = () => {
          signal.removeEventListener('abort', leave)
          resolve(once())
        }
        const leave = () => {
          line.splice(line.indexOf(enter), 1)
          reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
        }
        line.push(enter)
        signal.addEventListener('abort', leave, { once: true })
      })
    },
  }
}
