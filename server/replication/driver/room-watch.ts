/** Whether there is room on the disk: for what is under way, as the writer finds it, and for what is new, which is refused some time before. */
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'

export interface RoomWatchParts {
  readonly clock: Clock
  /** Throws `DISK_FULL` where nothing new had better be begun. */
  assertRoom(): void
  /** When either begins, and when both are over. */
  changed(isFull: boolean, error: Error | undefined): void
  failed(error: Error): void
}

export class RoomWatch {
  readonly #parts: RoomWatchParts
  /** `writer`: a write waits for room. `ahead`: there is room for what is under way only. */
  #full = { writer: false, ahead: false }
  #stopped = false

  constructor(parts: RoomWatchParts) {
    this.#parts = parts
  }

  note(change: { writer: boolean } | { ahead: boolean }, error: Error | undefined): void {
    const was = this.#full.writer || this.#full.ahead
    this.#full = { ...this.#full, ...change }
    const is = this.#full.writer || this.#full.ahead
    if (is !== was) this.#parts.changed(is, error)
  }

  /** Before the disk is so full that what is begun cannot be ended. */
  hasRoom(): boolean {
    if (this.#full.ahead) return false
    try {
      this.#parts.assertRoom()
      return true
    } catch (error) {
      if (!hasCode(error, 'DISK_FULL')) throw error
      this.note({ ahead: true }, asError(error))
      this.#lookLater()
      return false
    }
  }

  stop(): void {
    this.#stopped = true
  }

  #lookLater(): void {
    this.#parts.clock.after(ROOM_LOOK_MS, () => {
      if (this.#stopped) return
      try {
        this.#parts.assertRoom()
        this.note({ ahead: false }, undefined)
      } catch (error) {
        if (hasCode(error, 'DISK_FULL')) this.#lookLater()
        else this.#parts.failed(asError(error))
      }
    })
  }
}

/** While the disk is full: how often it is looked at. */
const ROOM_LOOK_MS = 1_000
