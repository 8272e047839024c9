/** Events sent to watchers. */
import type { KindRow } from '../kind.ts'
import { Metric } from '#base/metrics.ts'

const BYTES = Array.from({ length: 8 }, (_, i) => 1024 * 2 ** i)

export class WatchMetrics {
  readonly #events = new Metric('apiserver_watch_events_total', 'counter', 'Number of events sent in watch clients')
  readonly #sizes = new Metric('apiserver_watch_events_sizes', 'histogram', 'Watch event size distribution in bytes', BYTES)
  readonly #sent = new WeakMap<KindRow, (bytes: number) => void>()

  /** To be called with each event sent; one function for all watchers of a row. */
  sentOf(row: KindRow): (bytes: number) => void {
    let sent = this.#sent.get(row)
    if (!sent) {
      const { group, version, resource } = row.ref
      const labels = `group="${group}",resource="${resource}",version="${version}"`
      const [events, sizes] = [this.#events.series(labels), this.#sizes.series(labels)]
      sent = (bytes) => {
        events.add()
        sizes.observe(bytes)
      }
      this.#sent.set(row, sent)
    }
    return sent
  }

  all(): Metric[] { return [this.#events, this.#sizes] }
}
