/**
 * How old the states are that paged lists go on with. Upstream's store forgets a state after five to ten minutes
 * (etcd's compaction, DefaultCompactInterval), and clients are tested for the 410 that they get then; history here reaches
 * back further where little changes. No timer: whoever lists in pages brings the time along.
 */
import type { Revision } from '../../store/store.ts'

/** A list in pages may take this long, give or take MARK_MS. */
export const CONTINUE_MS_MAX = 5 * 60_000
const MARK_MS = 60_000

export class ListAges {
  /** What was the newest revision at which time; oldest first, at most one that is older than CONTINUE_MS_MAX. */
  readonly #marks: { atMs: number; revision: Revision }[] = []

  note(nowMs: number, newest: Revision): void {
    const marks = this.#marks
    const last = marks.at(-1)
    if (last && nowMs - last.atMs < MARK_MS) return
    marks.push({ atMs: nowMs, revision: newest })
    while (marks[1] && nowMs - marks[1].atMs >= CONTINUE_MS_MAX) marks.shift()
  }

  /** True for a state that is known to have been replaced so long ago: the newest is never over, however long nothing has changed. */
  isOver(nowMs: number, revision: Revision): boolean {
    return this.#marks.some((mark) => mark.revision > revision && nowMs - mark.atMs >= CONTINUE_MS_MAX)
  }
}
