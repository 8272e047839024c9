/** Opens the store that a power cut left, as a server does, says what is in it, and writes to it. */
import { join } from 'node:path'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { noTransport, openOwnStore } from '#server/cluster/open-own-store.ts'
import { resetToOneServer } from '#server/cluster/reset.ts'
import { levelOpener } from '#server/store/open-level.ts'
import type { Found } from './expectation.ts'

const PREFIX = '/registry/core/configmaps/default/power-'

export interface Reopened { found: Map<string, Found>; revision: number; /** Of the first write afterwards. */ nextRevision: number }

const own = (directory: string) => ({
  directory, open: levelOpener(join(directory, 'db')), clusterInit: false, join: undefined, address: '10.99.0.11:6443',
  assertRoom() { /* there is */ }, clock: systemClock, random: systemRandom, log: silentLog,
})

/**
 * Of one of several servers: all that is in its log counts, whether it knows that most of them have it or not. Where it was
 * one of the only two that ran, that is all that anybody was told.
 */
export async function resetThenReopen(directory: string): Promise<Reopened> {
  await resetToOneServer(own(directory))
  return reopen(directory)
}

/** `directory`: `<data-dir>/server`. Rejects with what the server would say. */
export async function reopen(directory: string): Promise<Reopened> {
  const { store } = await openOwnStore(own(directory), () => Promise.resolve(noTransport))
  try {
    const { items, revision } = await store.list({ prefix: PREFIX })
    const found = new Map(items.map(({ key, value, modRevision }) => {
      const { data } = JSON.parse(value.toString()) as { data: { n: string; filler: string } }
      return [key.slice(key.lastIndexOf('/') + 1), { n: Number(data.n), filler: data.filler, revision: modRevision }]
    }))
    const written = await store.txn({ compare: [{ key: '/registry/after', modRevision: 0 }], ops: [{ kind: 'put', key: '/registry/after', value: Buffer.from('the cut') }] })
    if (!written.ok) throw new Error('what was never written is there')
    return { found, revision, nextRevision: written.revision }
  } finally {
    await store.close()
  }
}
