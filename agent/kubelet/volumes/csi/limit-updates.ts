/**
 * How many volumes a driver can still attach here may change while it runs (KEP-4876): drivers whose CSIDriver says so
 * (`nodeAllocatableUpdatePeriodSeconds`) are asked anew that often. One watch by name for each driver of this node.
 */
import type { Client } from '#api/client/client.ts'
import { createInformer } from '#api/client/informer.ts'
import { CSI_DRIVERS, type CSIDriver } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'

export interface LimitUpdates {
  /** The drivers that are registered now. */
  follow(names: readonly string[]): void
  close(): void
}

export interface LimitUpdatesDeps {
  client: Client
  clock: Clock
  random: Random
  log: Log
  /** Asks the driver, and tells the cluster what has changed. */
  update: (name: string) => Promise<void>
}

interface Followed { stop: AbortController; periodSeconds: number; cancel: () => void }

export function createLimitUpdates({ client, clock, random, log, update }: LimitUpdatesDeps): LimitUpdates {
  const followed = new Map<string, Followed>()

  const arm = (name: string, entry: Followed, periodSeconds: number): void => {
    if (entry.periodSeconds === periodSeconds) return
    entry.cancel()
    entry.periodSeconds = periodSeconds
    const again = () => {
      entry.cancel = clock.after(periodSeconds * 1000, () => {
        update(name).catch((error: unknown) => log.warn('a CSI driver cannot be asked how many volumes it can attach', { driver: name, error: asError(error) })).finally(() => {
          if (!entry.stop.signal.aborted && entry.periodSeconds === periodSeconds) again()
        }).catch(() => { /* nothing in there rejects */ })
      })
    }
    if (periodSeconds > 0) again()
  }

  const begin = (name: string): void => {
    const entry: Followed = { stop: new AbortController(), periodSeconds: 0, cancel: () => {} }
    followed.set(name, entry)
    const watched = createInformer<CSIDriver>(client, CSI_DRIVERS, { fieldSelector: `metadata.name=${name}` }, { clock, random, log })
    watched.informer.onChange((_, after) => arm(name, entry, after?.spec.nodeAllocatableUpdatePeriodSeconds ?? 0))
    void watched.run(entry.stop.signal)
  }

  const end = (name: string, entry: Followed): void => {
    followed.delete(name)
    entry.stop.abort()
    entry.cancel()
  }

  return {
    follow(names) {
      for (const [name, entry] of followed) if (!names.includes(name)) end(name, entry)
      for (const name of names) if (!followed.has(name)) begin(name)
    },
    close() {
      for (const [name, entry] of followed) end(name, entry)
    },
  }
}
