/** How reloads of a configuration file went, and which one is in force: upstream's metrics of its three followed files. Alerts ask for failures. */
import { createHash } from 'node:crypto'
import type { Clock } from '#base/clock.ts'
import { Metric } from '#base/metrics.ts'

export type ReloadedFile = 'authentication' | 'authorization' | 'encryption'

const hashOf = (text: string | Buffer): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

export class ReloadMetrics {
  readonly #what: ReloadedFile
  readonly #clock: Clock
  readonly #server: string
  readonly #total: Metric
  readonly #last: Metric
  #inForce: string | undefined

  /** `serverName`: tells servers of one cluster apart; shown as a hash, as upstream's identity is. */
  constructor(what: ReloadedFile, { clock, serverName }: { clock: Clock; serverName: string }) {
    this.#what = what
    this.#clock = clock
    this.#server = `apiserver_id_hash="${hashOf(serverName)}"`
    const [totals, times] = what === 'encryption'
      ? ['Total number of reload successes and failures of encryption configuration split by apiserver identity.', 'Timestamp of the last successful or failed automatic reload of encryption configuration split by apiserver identity.']
      : [`Total number of automatic reloads of ${what} configuration split by status and apiserver identity.`, `Timestamp of the last automatic reload of ${what} configuration split by status and apiserver identity.`]
    this.#total = new Metric(`apiserver_${what}_config_controller_automatic_reloads_total`, 'counter', totals)
    this.#last = new Metric(`apiserver_${what}_config_controller_automatic_reload_last_timestamp_seconds`, 'gauge', times)
  }

  /** What is in force from now on. */
  inForce(text: string | Buffer): void { this.#inForce = hashOf(text) }

  reloaded(status: 'success' | 'failure'): void {
    this.#total.add(`${this.#server},status="${status}"`)
    this.#last.set(`${this.#server},status="${status}"`, this.#clock.nowMs() / 1000)
  }

  all(): readonly Metric[] {
    const info = new Metric(`apiserver_${this.#what}_config_controller_last_config_info`, 'gauge', `Information about the last applied ${this.#what} configuration with hash as label, split by apiserver identity.`)
    if (this.#inForce !== undefined) info.set(`${this.#server},hash="${this.#inForce}"`, 1)
    return [this.#total, this.#last, info]
  }
}
