/** What happens next in a simulated world: a heap ordered by time, then by who came first. */
export class EventQueue {
  nowMs = 0
  readonly #heap: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = []
  #order = 0

  at(atMs: number, run: () => void): void {
    const heap = this.#heap
    const item = { atMs, order: this.#order++, run }
    let i = heap.length
    heap.push(item)
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent]
      if (!above || isBefore(above, item)) break
      heap[i] = above
      i = parent
    }
    heap[i] = item
  }

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run)
  }

  /** Runs what is due up to and including `untilMs`. */
  runUntil(untilMs: number): void {
    for (let next = this.#heap[0]; next && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#removeFirst()
      this.nowMs = next.atMs
      next.run()
    }
    this.nowMs = untilMs
  }

  /** Runs the next one, if it is due by then: for worlds with promises, which have to settle in between. */
  runNext(untilMs: number): boolean {
    const next = this.#heap[0]
    if (!next || next.atMs > untilMs) {
      this.nowMs = untilMs
      return false
    }
    this.#removeFirst()
    this.nowMs = next.atMs
    next.run()
    return true
  }

  #removeFirst(): void {
    const heap = this.#heap
    const item = heap.pop()
    if (!item || heap.length === 0) return
    let i = 0
    for (;;) {
      let child = i * 2 + 1
      let below = heap[child]
      if (!below) break
      const right = heap[child + 1]
      if (right && isBefore(right, below)) {
        child++
        below = right
      }
      if (!isBefore(below, item)) break
      heap[i] = below
      i = child
    }
    heap[i] = item
  }
}

function isBefore(a: { readonly atMs: number; readonly order: number }, b: { readonly atMs: number; readonly order: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
