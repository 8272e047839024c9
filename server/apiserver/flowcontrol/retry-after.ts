/**
 * What a refused client is told to wait, by how many were refused lately: it doubles while many are, and sinks by one second
 * at a time when few are (upstream's dropped requests tracker). Pure: time comes in.
 */
const SECONDS_MAX = 32

export class RetryAfter {
  #seconds = 1
  #refused = 0
  #sinceMs = Number.NEGATIVE_INFINITY

  /** One more was refused; what it is to be told. */
  refused(nowMs: number): number {
    if (nowMs - this.#sinceMs >= this.#seconds * 1_000) {
      if (this.#refused > 3 * this.#seconds) this.#seconds = Math.min(SECONDS_MAX, this.#seconds * 2)
      else if (this.#refused < this.#seconds) this.#seconds = Math.max(1, this.#seconds - 1)
      this.#refused = 0
      this.#sinceMs = nowMs
    }
    this.#refused++
    return this.#seconds
  }
}
