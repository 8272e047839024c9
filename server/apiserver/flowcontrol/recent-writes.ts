/** How often each flow schema's status was written of late: two servers that do not agree about it must not write all the time. Pure but for what it remembers. */

const WRITES_MAX = 6
const WITHIN_MS = 60_000

export class RecentWrites {
  readonly #writes = new Map<string, number[]>()

  mayWrite(name: string, nowMs: number): boolean {
    return this.#ofLate(name, nowMs).length < WRITES_MAX
  }

  note(name: string, nowMs: number): void {
    this.#writes.set(name, [...this.#ofLate(name, nowMs), nowMs])
  }

  /** Forgets schemas that are not there any more. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#writes.keys()) if (!names.has(name)) this.#writes.delete(name)
  }

  #ofLate(name: string, nowMs: number): number[] {
    return (this.#writes.get(name) ?? []).filter((at) => nowMs - at <= WITHIN_MS)
  }
}
