/** Opens the store that a power cut left, as a server does, says what is in it, and writes to it. */
import { join } from 'node:path'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { openOwnStore } from '#server/cluster/open-own-store.ts'
import { levelOpener } from '#server/store/open-level.ts'
import type { Found } from './expectation.ts'

const PREFIX = '/registry/core/configmaps/default/power-'

export interface Reopened { found: Map<string, Found>; revision: number; /** Of the first write afterwards. */ nextRevision: number }

/** `directory`: `<data-dir>/server`. Rejects with what the server would say. */
export async function reopen(directory: string): Promise<Reopened> {
  const { store } = await openOwnStore({
    directory, open: levelOpener(join(directory, 'db')), clusterInit: false, join: undefined, address: '10.99.0.11:6443',
    assertRoom() { /* there is */ }, clock: systemClock, random: systemRandom, log: silentLog,
  }, () => { throw new Error('this server has others beside it') })
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
