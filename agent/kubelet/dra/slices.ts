/**
 * What the cluster is told of the devices of drivers that are not here (ResourceSlices) is deleted: nobody is to be sent here for them. A driver has a
 * while to come back; at the start, those that have not registered are taken for gone.
 */
import { isReason, type Client, type ListResult } from '#api/client/client.ts'
import { RESOURCE_SLICES, type ResourceSlice } from '#api/types/index.ts'
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { pause } from '../turns.ts'

export interface SliceWipes {
  /** Whether a driver can be reached has changed, or it has registered. */
  follow(driver: string): void
  /** Until aborted; never rejects. */
  run(signal: AbortSignal): Promise<void>
}

export interface SliceWipesDeps {
  nodeName: string
  client: Pick<Client, 'list' | 'raw'>
  isUsable: (driver: string) => boolean
  clock: Clock
  random: Random
  log: Log
}

/** Upstream's defaultWipingDelay. */
const DELAY_MS = 30_000
const RETRY: BackoffPolicy = { baseMs: 1_000, maxMs: 300_000, jitter: 0.2 }
const PATH = `/apis/${RESOURCE_SLICES.group}/${RESOURCE_SLICES.version}/${RESOURCE_SLICES.resource}`
const PAGE_SLICES = 100

export function createSliceWipes({ nodeName, client, isUsable, clock, random, log }: SliceWipesDeps): SliceWipes {
  const pending = new Map<string, AbortController>()
  const state: { signal: AbortSignal | undefined } = { signal: undefined }

  const wipe = async (driver: string, signal: AbortSignal): Promise<void> => {
    const fieldSelector = encodeURIComponent(`spec.nodeName=${nodeName},spec.driver=${driver}`)
    await client.raw('DELETE', `${PATH}?fieldSelector=${fieldSelector}`, undefined, signal).catch((error: unknown) => { if (!isReason(error, 'NotFound')) throw error })
    log.info('a DRA driver is not here: what the cluster was told of its devices is deleted', { driver })
  }

  const absentDrivers = async (signal: AbortSignal): Promise<Set<string>> => {
    const drivers = new Set<string>()
    for (let next: string | undefined = ''; next !== undefined;) {
      const page: ListResult<ResourceSlice> = await client.list<ResourceSlice>(RESOURCE_SLICES, { fieldSelector: `spec.nodeName=${nodeName}`, limit: PAGE_SLICES, ...(next !== '' && { continue: next }) }, signal)
      for (const { spec } of page.items) if (!isUsable(spec.driver)) drivers.add(spec.driver)
      next = page.metadata.continue || undefined
    }
    return drivers
  }

  /** Until it has succeeded: nobody else would do it. */
  const persist = async (work: () => Promise<void>, signal: AbortSignal): Promise<void> => {
    for (let failures = 0; !signal.aborted;) {
      try {
        return await work()
      } catch (error) {
        failures++
        log.debug('ResourceSlices cannot be deleted, will try again', { error: asError(error) })
        await pause(clock, backoffMs(RETRY, failures, random), signal)
      }
    }
  }

  const begin = (driver: string, running: AbortSignal): void => {
    const stop = new AbortController()
    pending.set(driver, stop)
    const signal = AbortSignal.any([running, stop.signal])
    void (async () => {
      if (!await pause(clock, DELAY_MS, signal)) return
      await persist(() => wipe(driver, signal), signal)
      if (pending.get(driver) === stop) pending.delete(driver)
    })()
  }

  return {
    follow(driver) {
      if (isUsable(driver)) {
        pending.get(driver)?.abort()
        pending.delete(driver)
      } else if (state.signal && !state.signal.aborted && !pending.has(driver)) {
        begin(driver, state.signal)
      }
    },
    async run(signal) {
      state.signal = signal
      await persist(async () => {
        for (const driver of await absentDrivers(signal)) await wipe(driver, signal)
      }, signal)
    },
  }
}
